package report_test

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/report"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/verdict"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// decide judges builds of organisations, of which the first three are known.
func decide(t *testing.T, dir string, builds ...*evidence.Build) *verdict.Verdict {
	t.Helper()
	evidencetest.Exchange(t, dir, builds...)
	var known []evidencetest.Organisation
	for _, b := range builds[:min(3, len(builds))] {
		known = append(known, evidencetest.New(b.Organisation))
	}
	folders, err := repository.Find(context.Background(), dir, "", nil)
	must(t, err)
	v, err := verdict.Decide(context.Background(), folders, verdict.Options{
		Registry: evidencetest.Registry(t, known...), Policy: evidencetest.Policy(t, 2, ""), At: evidencetest.Now,
	})
	must(t, err)
	return v
}

func write(t *testing.T, v *verdict.Verdict) string {
	t.Helper()
	r, err := report.New(context.Background(), v)
	must(t, err)
	var out bytes.Buffer
	must(t, r.Write(&out))
	return out.String()
}

// dissent is a verdict in which gamma has another kernel.
func dissent(t *testing.T) *verdict.Verdict {
	return decide(t, t.TempDir(), evidencetest.New("alpha").Build(nil), evidencetest.New("beta").Build(nil),
		evidencetest.New("gamma").Build(func(b *evidence.Build) { evidencetest.Change(b, "bzImage") }))
}

func TestPageShowsTheVerdict(t *testing.T) {
	text := write(t, dissent(t))
	for _, want := range []string{
		`<title>mangos_1: differs</title>`, `alpha, beta on one side, gamma on the other: they part at kernel`, `<th scope="row">bzImage</th>`,
		`<span class="tag">B</span>`, "Packages that are reproduced: 1", "What the agreement proves", "a processor of alpha",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not hold %q", want)
		}
	}
	text = write(t, decide(t, t.TempDir(), evidencetest.New("alpha").Build(nil), evidencetest.New("beta").Build(nil)))
	if !strings.Contains(text, `<title>mangos_1: reproduced</title>`) || strings.Contains(text, "Where they part") {
		t.Error("a page of agreement is another one")
	}
}

// TestPageNeedsNothingElse: no script, and nothing that is fetched.
func TestPageNeedsNothingElse(t *testing.T) {
	text := write(t, dissent(t))
	for _, pattern := range []string{`(?i)<script`, `(?i)\son[a-z]+=`, `(?i)<(img|iframe|object|embed|base|form)`, `(?i)url\(`, `(?i)@import`, `(?i)javascript:`} {
		if found := regexp.MustCompile(pattern).FindString(text); found != "" {
			t.Errorf("the page holds %q", found)
		}
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "#") {
			t.Errorf("it refers to %q", m[1])
		}
	}
}

// TestHostileTexts: what evidence and folders are called stands in the page as
// text, with nothing invisible in it.
func TestHostileTexts(t *testing.T) {
	dir := t.TempDir()
	hostile := evidencetest.New("gamma").Build(func(b *evidence.Build) {
		b.Machine.CPU = `<script>alert(1)</script>`
		b.Machine.Path = `" onmouseover="alert(2)`
		b.Builder = `https://example.org/<img/src=x>`
		b.Parameters["version"] = `</td><svg/onload=alert(3)>`
	})
	alpha, beta := evidencetest.New("alpha").Build(nil), evidencetest.New("beta").Build(nil)
	stranger := evidencetest.Release + "/<b>\x1b[31m\u202estranger"
	must(t, os.MkdirAll(dir+"/"+stranger, 0o755))
	must(t, os.WriteFile(dir+"/"+stranger+"/"+evidence.BuildFile, []byte("{}"), 0o644))
	v := decide(t, dir, alpha, beta, hostile)
	text := write(t, v)
	for _, bad := range []string{"<script", "<img", "<svg", "<b>", "\x1b", "\u202e", `" onmouseover`} {
		if strings.Contains(text, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if !strings.Contains(text, `\x1b[31m`) || !strings.Contains(text, "&lt;svg/onload=alert(3)&gt;") {
		t.Error("what could do harm is not shown at all")
	}
}
