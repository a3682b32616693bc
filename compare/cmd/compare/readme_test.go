package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// exchange is what two organisations have before they follow the README.
const exchange = `
release alpha signature=alpha
programs alpha gate=one
release beta signature=beta
programs beta gate=one
keygen alpha/keys beta/keys
organisations beta/organisations.json alpha=alpha/keys beta=beta/keys
cp policy.json beta/policy.json
mkdir shared
symlink alpha/shared -> ../shared
symlink beta/shared -> ../shared
symlink alpha/checkout -> ../checkout
symlink beta/checkout -> ../checkout
symlink alpha/build -> release
symlink beta/build -> release
`

const exchangeFiles = `
-- policy.json --
{"format": "mangos-policy-1", "thresholds": {"default": 2}}
-- checkout/debian.lock.json --
{"format": "a lock"}
-- checkout/debian.sources.json --
what is known of its sources
-- checkout/mangos.toml --
the definition
-- checkout/modules/debian/keys/archive.asc --
a key
-- checkout/modules/kernel/config/base.config --
a fragment
-- checkout/modules/image/tree/root/etc/hosts --
a file of the image
-- checkout/ci/dagger --
the launcher
-- checkout/ci/main.go --
the pipeline
-- checkout/runtime/gate.go --
a program
`

// TestReadme does what the README's transcript of an exchange says, and requires
// that each command prints those lines, but for digests and dates.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := exchange
	prompt := regexp.MustCompile(`^    ([a-z]+)\$ (compare .*)$`)
	lines := strings.Split(strings.ReplaceAll(string(text), "\\\n", ""), "\n")
	count, shown := 0, false
	for _, line := range lines {
		m := prompt.FindStringSubmatch(line)
		switch {
		case m != nil:
			script += fmt.Sprintf("cd $WORK/%s\n%s\n", m[1], m[2])
			count, shown = count+1, true
		case shown && strings.HasPrefix(line, "    "):
			script += "says '" + strings.ReplaceAll(strings.TrimSpace(line), "'", "''") + "'\n"
		case shown && line != "":
			shown = false
		}
	}
	if count < 8 {
		t.Fatalf("%d commands in the transcript", count)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "readme.txt"), []byte(script+exchangeFiles), 0o644); err != nil {
		t.Fatal(err)
	}
	known := commands(t)
	known["says"] = says
	testscript.Run(t, testscript.Params{Dir: dir, Cmds: known})
}

var (
	digests = regexp.MustCompile(`[0-9a-f]{12}`)
	dates   = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}`)
)

// says requires a line of what the last command printed.
func says(ts *testscript.TestScript, _ bool, args []string) {
	want := strings.Join(args, " ")
	for line := range strings.Lines(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		if pattern(line) == pattern(want) {
			return
		}
	}
	ts.Fatalf("no line %q in\n%s%s", want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

// pattern is a line without what is another one each time.
func pattern(line string) string {
	line = dates.ReplaceAllString(digests.ReplaceAllString(line, "DIGEST"), "DATE")
	return strings.Join(strings.Fields(line), " ")
}
