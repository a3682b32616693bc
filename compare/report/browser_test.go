//go:build browser

package report_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

// TestBrowser opens the page from its file: it loads without complaint and without
// network, the drill-down opens by the keyboard and by a click, in light and dark.
func TestBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("needs chromium")
	}
	path := filepath.Join(t.TempDir(), "report.html")
	must(t, os.WriteFile(path, []byte(write(t, realVerdict(t))), 0o644))
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, stop = chromedp.NewContext(ctx)
	defer stop()
	ctx, stop = context.WithTimeout(ctx, 4*time.Minute)
	defer stop()
	var seen console
	chromedp.ListenTarget(ctx, seen.listen)

	var title, found string
	var before, after, again bool
	var light, dark string
	var wide, column int
	open := func(to *bool) chromedp.Action {
		return chromedp.Evaluate(`document.querySelector('#split-0').open`, to)
	}
	colour := func(to *string) chromedp.Action {
		return chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, to)
	}
	scheme := func(value string) chromedp.Action {
		return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}})
	}
	must(t, chromedp.Run(ctx, log.Enable(), network.Enable(), chromedp.EmulateViewport(1280, 900),
		scheme("light"), chromedp.Navigate("file://"+path), chromedp.Title(&title), open(&before), colour(&light),
		chromedp.Focus(`#split-0 > summary`), chromedp.KeyEvent(kb.Enter), open(&after),
		chromedp.Text(`#split-0 table.findings`, &found, chromedp.NodeVisible), shot(t, "light.png"),
		chromedp.EmulateViewport(phone, 900), chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide),
		chromedp.Evaluate(narrowest, &column), shot(t, "narrow.png"), chromedp.EmulateViewport(1280, 900),
		chromedp.Click(`#split-0 > summary`), open(&again), scheme("dark"), colour(&dark), shot(t, "dark.png")))
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
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for _, line := range seen.lines {
		t.Error(line)
	}
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
