//go:build browser

package report_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/release"
	"github.com/mastercard/mangos/compare/releasetest"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/verdict"
)

// realVerdict is one over evidence published from releases, with manifests: gamma
// has another kernel.
func realVerdict(t *testing.T) *verdict.Verdict {
	t.Helper()
	out := t.TempDir()
	var all []evidencetest.Organisation
	for id, kernel := range map[string]byte{"alpha": 0, "beta": 0, "gamma": 'x'} {
		o := evidencetest.New(id)
		all = append(all, o)
		dir := t.TempDir()
		releasetest.Write(t, dir, releasetest.Options{Signature: id, Kernel: kernel})
		set, err := release.OpenSet(filepath.Join(dir, "release"), "")
		must(t, err)
		defer set.Close()
		_, err = evidence.Publish(context.Background(), set, evidence.Options{
			Organisation: id, Builder: "https://example.org/" + id, Finished: evidencetest.Now, Key: o.Key,
			Inputs:  []evidence.Item{{Name: "debian.lock.json", SHA256: evidencetest.Digest("lock")}},
			Machine: o.Build(nil).Machine, Warn: func(string) {},
		}, out)
		must(t, err)
	}
	for n, o := range all {
		o.Reveal(t, out, append(append([]evidencetest.Organisation{}, all[:n]...), all[n+1:]...)...)
	}
	folders, err := repository.Find(context.Background(), out, "", nil)
	must(t, err)
	v, err := verdict.Decide(context.Background(), folders, verdict.Options{
		Registry: evidencetest.Registry(t, all...), Policy: evidencetest.Policy(t, 2, ""), At: evidencetest.Now,
	})
	must(t, err)
	return v
}

// console collects what a page complains about, and what it asks the network for.
type console struct {
	mu    sync.Mutex
	lines []string
}

func (c *console) listen(event any) {
	line := ""
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		line = "console: " + e.Type.String()
	case *runtime.EventExceptionThrown:
		line = "exception: " + e.ExceptionDetails.Text
	case *log.EventEntryAdded:
		line = "log: " + e.Entry.Text
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "file://") && !strings.HasPrefix(e.Request.URL, "data:") {
			line = "request: " + e.Request.URL
		}
	}
	if line != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lines = append(c.lines, line)
	}
}

// phone is the width of a small screen; tables that are wider scroll by themselves.
const phone = 400

// narrowest is the width of the narrowest column that is shown.
const narrowest = `Math.min(...[...document.querySelectorAll('td, th')].map(c => c.clientWidth).filter(w => w > 0))`

// opened opens the page of the verdict from its file, in a browser of 1280 by 900. What
// the page complains of until the end of the test, or asks the network for, is an error.
func opened(t *testing.T) context.Context {
	t.Helper()
	browser := ""
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Fatal("needs Debian's package chromium or chromium-headless-shell")
	}
	path := filepath.Join(t.TempDir(), "report.html")
	must(t, os.WriteFile(path, []byte(write(t, realVerdict(t))), 0o644))
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			// Debian's command is a script, which the browser outlives.
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		}))
	ctx, stopBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopTab := chromedp.NewContext(ctx)
	ctx, stop := context.WithTimeout(ctx, 4*time.Minute)
	seen := &console{}
	chromedp.ListenTarget(ctx, seen.listen)
	t.Cleanup(func() {
		stop()
		stopTab()
		stopBrowser()
		seen.mu.Lock()
		defer seen.mu.Unlock()
		for _, line := range seen.lines {
			t.Error(line)
		}
	})
	must(t, chromedp.Run(ctx, log.Enable(), network.Enable(), chromedp.EmulateViewport(1280, 900),
		scheme("light"), chromedp.Navigate("file://"+path)))
	return ctx
}

// scheme lets the reader prefer light or dark.
func scheme(value string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}})
}

// TestBrowser: the page loads, and the drill-down opens by the keyboard and closes by a
// click, in light and dark, also on a small screen.
func TestBrowser(t *testing.T) {
	ctx := opened(t)
	var title, found, light, dark string
	var before, after, again bool
	var wide, column int
	open := func(to *bool) chromedp.Action {
		return chromedp.Evaluate(`document.querySelector('#split-0').open`, to)
	}
	colour := func(to *string) chromedp.Action {
		return chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, to)
	}
	must(t, chromedp.Run(ctx, chromedp.Title(&title), open(&before), colour(&light),
		chromedp.Focus(`#split-0 > summary`), chromedp.KeyEvent(kb.Enter), open(&after),
		chromedp.Text(`#split-0 table.findings`, &found, chromedp.NodeVisible), shot(t, "light.png"),
		scheme("dark"), colour(&dark), shot(t, "dark.png"), scheme("light"),
		chromedp.EmulateViewport(phone, 900), chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide),
		chromedp.Evaluate(narrowest, &column), shot(t, "narrow.png"), chromedp.EmulateViewport(1280, 900),
		chromedp.Click(`#split-0 > summary`), open(&again)))
	if title != "mangos_1: differs" || before || !after || again {
		t.Errorf("title %q; the drill-down was open %v, by the keyboard %v, after a click %v", title, before, after, again)
	}
	if !strings.Contains(found, "bzImage > vmlinux") || !strings.Contains(found, "To go deeper") {
		t.Errorf("the drill-down shows %q", found)
	}
	if light == dark || light == "" {
		t.Errorf("light is %s, dark is %s", light, dark)
	}
	if wide > phone || column < 40 {
		t.Errorf("on a phone the page is %d wide, and its narrowest column %d", wide, column)
	}
}

// contrast is the lowest ratio of a text's colour and that behind it, as WCAG 2.1 has it,
// of the texts that are shown.
const contrast = `(() => {
	const numbers = colour => colour.match(/[\d.]+/g).map(Number);
	const light = colour => {
		const [r, g, b] = numbers(colour).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const behind = e => {
		for (; e; e = e.parentElement) {
			const colour = getComputedStyle(e).backgroundColor;
			if (numbers(colour)[3] !== 0) return colour;
		}
		return 'rgb(255, 255, 255)';
	};
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let worst = 21;
	while (texts.nextNode()) {
		const e = texts.currentNode.parentElement;
		if (!texts.currentNode.nodeValue.trim() || !e.checkVisibility()) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
		worst = Math.min(worst, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
	}
	return worst;
})()`

// openAll opens everything that can be opened.
const openAll = `document.querySelectorAll('details').forEach(d => d.open = true)`

// TestBrowserContrast: all texts can be read, in light and dark (WCAG 2.1, 1.4.3).
func TestBrowserContrast(t *testing.T) {
	ctx := opened(t)
	for _, preferred := range []string{"light", "dark"} {
		var worst float64
		must(t, chromedp.Run(ctx, chromedp.Evaluate(openAll, nil), scheme(preferred), chromedp.Evaluate(contrast, &worst)))
		if worst < 4.5 {
			t.Errorf("%s: a text has a contrast of %.2f", preferred, worst)
		}
	}
}

// TestBrowserReadAloud: what a screen reader is told, and the keyboard reaches. Each
// table and each region has a name, and there is a way past what comes first.
func TestBrowserReadAloud(t *testing.T) {
	ctx := opened(t)
	var tree struct {
		Nodes []struct {
			Ignored bool `json:"ignored"`
			Role    said `json:"role"`
			Name    said `json:"name"`
		} `json:"nodes"`
	}
	var first, then, language string
	focused := func(to *string) chromedp.Action {
		return chromedp.Evaluate(`document.activeElement.className + '#' + document.activeElement.id`, to)
	}
	must(t, chromedp.Run(ctx, chromedp.Evaluate(`document.documentElement.lang`, &language),
		chromedp.KeyEvent(kb.Tab), focused(&first), chromedp.KeyEvent(kb.Enter), focused(&then),
		chromedp.Evaluate(openAll, nil), chromedp.ActionFunc(func(ctx context.Context) error {
			return cdp.Execute(ctx, accessibility.CommandGetFullAXTree, nil, &tree)
		})))
	if first != "skip#" || then != "#artifacts" || language != "en" {
		t.Errorf("the first stop is %q, from there to %q; the language is %q", first, then, language)
	}
	count := map[string]int{}
	for _, n := range tree.Nodes {
		role, name := n.Role.Value, n.Name.Value
		count[role]++
		named := role == "table" || role == "region" || role == "heading" || role == "DisclosureTriangle" || role == "columnheader" || role == "rowheader"
		if !n.Ignored && named && name == "" {
			t.Errorf("a %s without a name", role)
		}
	}
	for _, role := range []string{"main", "banner", "table", "region", "heading", "DisclosureTriangle", "columnheader", "rowheader"} {
		if count[role] == 0 {
			t.Errorf("nothing is a %s", role)
		}
	}
}

// said is a text of the accessibility tree.
type said struct {
	Value string `json:"value"`
}

// shot keeps a picture of the whole page in the folder MANGOS_SCREENSHOTS.
func shot(t *testing.T, name string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		dir := os.Getenv("MANGOS_SCREENSHOTS")
		if dir == "" {
			return nil
		}
		var picture []byte
		if err := chromedp.FullScreenshot(&picture, 100).Do(ctx); err != nil {
			return err
		}
		t.Logf("picture %s", name)
		return os.WriteFile(filepath.Join(dir, name), picture, 0o644)
	})
}
