package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis/unitchecker"
)

// The test's program is the tool of the go command, as the real one is.
func TestMain(m *testing.M) {
	if vetTool(os.Args[1:]) {
		unitchecker.Main(suite()...)
	}
	os.Exit(m.Run())
}

const clean = "// Package clean is clean.\npackage clean\n"

// faulty has a fault for each analyzer that is adapted here, in the lines that are
// named after it.
var faulty = strings.ReplaceAll(`// Package faulty has faults.
package faulty

import (
	"errors"
	"math/rand"
	"os"
)

func Commentless(int) {} // revive

var errNo = errors.New("no")

func unread() {} // unused

// Compare has more faults than lines: MISSPELLED. misspell
func Compare(err error, n int64) bool {
	_ = int64(n) // unconvert
	_ = rand.Int() // gosec
	_ = rand.Int() //nolint:gosec // nobody guesses it
	//nolint:gosec // nor that
	_ = rand.Int()
	_ = rand.Int() //nolint:gosec
	return err == errNo && never("a") // errorlint
}

func never(unused string) bool { // unparam
	return len(os.Args) > 1
}

// Blank begins with a blank line.
func Blank() { // whitespace

	println()
}
`, "MISSPELLED", "reci"+"eve")

func TestLint(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                   "module a\n\ngo 1.25\n",
		"clean/clean.go":           clean,
		"faulty/faulty.go":         faulty,
		"testdata/x.go":            "package x;",
		"b/go.mod":                 "module b\n\ngo 1.25\n",
		"b/b.go":                   clean,
		"b/_c.go":                  clean,
		"m/.dagger/go.mod":         "module dagger/m\n\ngo 1.25\n",
		"m/.dagger/main.go":        "package main\nfunc main() { a . b() }\n",
		"m/.dagger/dagger.gen.go":  "package main;",
		"m/.dagger/internal/x.go":  "package x;",
		"m/.dagger/module/good.go": clean,
		"empty/go.mod":             "module empty\n\ngo 1.25\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	failed, err := lintAll(context.Background(), dir, &out)
	if err != nil {
		t.Fatal(err)
	}
	report := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(out.String(), "")
	if !failed || !strings.HasSuffix(report, "\n5 passed, 3 failed\n") {
		t.Errorf("failed %v, got\n%s", failed, report)
	}
	for number, line := range strings.Split(faulty, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if name := words[len(words)-1]; strings.HasSuffix(line, "// "+name) || name == "misspell" {
			want := regexp.MustCompile(`(?m)^faulty/faulty\.go:` + strconv.Itoa(number+1) + `:\d+: ` + name + `: `)
			if !want.MatchString(report) {
				t.Errorf("nothing matches %s in\n%s", want, report)
			}
		}
	}
	if n := strings.Count(report, "gosec: G404"); n != 2 {
		t.Errorf("%d random numbers are reported, want the two without an excuse:\n%s", n, report)
	}
	for _, want := range []string{"main.go: not formatted", "faulty.go: not formatted"} {
		if !strings.Contains(report, want) {
			t.Errorf("got\n%swant %q", report, want)
		}
	}
	if strings.Contains(report, "testdata") || strings.Contains(report, "internal") || strings.Contains(report, "gen.go") {
		t.Errorf("looked where it should not:\n%s", report)
	}
}

func TestLintNothing(t *testing.T) {
	if failed, err := lintAll(context.Background(), t.TempDir(), &strings.Builder{}); err == nil {
		t.Errorf("a folder without a module: failed %v, no error", failed)
	}
}
