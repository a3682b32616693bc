//go:build linux && exchange

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// organisation is one of those that build the same lock: a clone, keys, and what it has
// published and not yet shown.
type organisation struct {
	name string
	*bench
	keys, private, shared string // folders
}

// TestExchange lets three organisations build the same commit, publish and compare: two
// with nothing but keys of their own, and a third whose compiler was given another flag
// for one program, and that does not say so. Each makes root and initrd from nothing, in
// a package cache of its own. It is a full run, beside the engine that ci/dagger uses,
// which has compiled the kernel once for all of them; their images need 4 GB:
//
//	go test -C ci/bench -count=1 -tags exchange -run Exchange -timeout 60m -v
func TestExchange(t *testing.T) {
	dir := t.TempDir()
	var all []*organisation
	for _, name := range []string{"alpha", "beta", "gamma"} {
		all = append(all, newOrganisation(t, dir, name))
	}
	alpha, beta, gamma := all[0], all[1], all[2]
	gamma.patchCompiler(t)
	for _, o := range all {
		o.build(t)
	}
	// By the program and by the pipeline: that is one kind of evidence.
	alpha.publish(t)
	beta.publishByPipeline(t)
	gamma.publishByPipeline(t)
	e := newExchange(t, dir, all)

	e.want(t, 2, "verdict", e.shared, "--policy", e.policy, "--organisations", e.organisations).lines(
		`^\S+: DIFFERS$`, `^ +[0-9a-f]{12}  alpha, beta$`, `^ +[0-9a-f]{12}  gamma$`,
		`^  program/gate +differs `, `^  program/failure +reproduced `, `^  root\.erofs +reproduced `, `^  bzImage +reproduced `,
		`^  initrd +differs `, `^  culprit programs +made from the same; other: program/gate$`, `^  follows initrd `,
		`^  (alpha|beta|gamma) .*; committed before the others revealed$`)
	e.want(t, 0, "verdict", alpha.published(t), beta.published(t), "--policy", e.policy, "--organisations", e.organisations).lines(
		`^\S+: REPRODUCED$`)
	e.want(t, 0, "explain", alpha.release(), beta.release()).lines(
		`^They (differ only in what each organisation signs|are the same)`)
	// What was exchanged leads to the program, the releases to its bytes, and to the flag.
	e.want(t, 2, "explain", "--all", alpha.published(t), gamma.published(t)).parts(
		"Culprit: programs: made from the same materials", "usr/lib/mangos/gate > .text", "to go deeper, needs the bytes of both sides")
	deep := e.want(t, 2, "explain", "--all", alpha.release(), gamma.release())
	deep.parts("Culprit step: programs: was told something else: command of programs", "-funcalign=64", "usr/lib/mangos/gate > .text")
	deep.lines(`[0-9]+ bytes( at|, from) 0x`)
	e.want(t, 2, "report", e.shared, "--policy", e.policy, "--organisations", e.organisations, "--html", filepath.Join(dir, "report.html")).lines(
		`report.html: differs$`)
}

// exchange is what the organisations share, and by what alpha judges it.
type exchange struct {
	compare                       string // the program
	shared, policy, organisations string
}

// newExchange lets all commit, and then reveal.
func newExchange(t *testing.T, dir string, all []*organisation) *exchange {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, name) }
	e := &exchange{all[0].program("compare"), path("shared"), path("policy.json"), path("organisations.json")}
	var list []any
	for _, o := range all {
		list = append(list, map[string]any{"id": o.name, "keys": []any{map[string]any{"sha256": o.fingerprint(t)}}})
	}
	writeJSON(t, e.organisations, map[string]any{"format": "mangos-organisations-1", "organisations": list})
	writeJSON(t, e.policy, map[string]any{"format": "mangos-policy-1", "thresholds": map[string]int{"default": 2}})
	for _, o := range all {
		o.must(t, "compare", "commit", o.unshown(t), "--to", e.shared)
	}
	for _, o := range all {
		o.must(t, "compare", "reveal", o.unshown(t), "--to", e.shared, "--key", filepath.Join(o.keys, "attest.key"))
		o.shared = e.shared
	}
	return e
}

// want runs compare, which must end with the exit code.
func (e *exchange) want(t *testing.T, code int, args ...string) said {
	t.Helper()
	text, got := printed(t.Context(), e.compare, args...)
	t.Logf("compare %s\n%s", strings.Join(args, " "), text)
	if got != code {
		t.Errorf("compare %s ends with %d, want %d", args[0], got, code)
	}
	return said{t, text}
}

// said is what a program printed.
type said struct {
	t    *testing.T
	text string
}

// lines requires that each pattern matches something.
func (o said) lines(patterns ...string) {
	o.t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)` + p).MatchString(o.text) {
			o.t.Errorf("nothing matches %s", p)
		}
	}
}

// parts requires texts, wherever lines end.
func (o said) parts(list ...string) {
	o.t.Helper()
	flat := func(s string) string { return strings.Join(strings.Fields(s), "") }
	for _, part := range list {
		if !strings.Contains(flat(o.text), flat(part)) {
			o.t.Errorf("it does not say %q", part)
		}
	}
}

func newOrganisation(t *testing.T, dir, name string) *organisation {
	t.Helper()
	b, err := prepare(t.Context(), "../..", 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	o := &organisation{name: name, bench: b, keys: filepath.Join(b.dir, "keys"), private: filepath.Join(dir, name)}
	generate, err := b.generator(t.Context())
	if err == nil {
		err = generate(o.keys)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// patchCompiler gives the compiler of the organisation's clone another flag for the gate,
// which lies in the initrd: its functions begin at other addresses. The source that it is
// compiled from stays what everybody has. It is a flag of the linker, since one for the
// compiler stands in what each program tells of its build, and then all of them differ.
func (o *organisation) patchCompiler(t *testing.T) {
	t.Helper()
	const file, flag = "modules/golang/.dagger/main.go", `"-ldflags=-s -w -buildid=", `
	text, err := os.ReadFile(filepath.Join(o.tree, file))
	if err != nil {
		t.Fatal(err)
	}
	patched := strings.Replace(string(text), flag, flag+`"-ldflags=github.com/mastercard/mangos/runtime/cmd/gate=-s -w -buildid= -funcalign=64", `, 1)
	if patched == string(text) {
		t.Fatalf("%s has no %s", file, flag)
	}
	if err := o.write(file, patched); err != nil {
		t.Fatal(err)
	}
}

// build makes root and initrd from a package cache that nobody has used, and puts the
// clone back to what everybody has.
func (o *organisation) build(t *testing.T) {
	t.Helper()
	args := append([]string{"call", "--package-cache", o.name + "-" + stamp(0), "build-image", "-o", o.release()}, keyFlags(o.keys, o.keys)...)
	seconds, err := o.call(t.Context(), args...)
	if err == nil {
		err = o.reset(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: build-image %.1f s", o.name, seconds)
}

func (o *organisation) publish(t *testing.T) {
	t.Helper()
	o.must(t, "compare", "publish", "--release", o.release(), "--organisation", o.name, "--key", filepath.Join(o.keys, "attest.key"),
		"--checkout", o.tree, "--out", o.private)
}

func (o *organisation) publishByPipeline(t *testing.T) {
	t.Helper()
	machine := filepath.Join(o.dir, "machine.json")
	if err := os.WriteFile(machine, []byte(o.must(t, "compare", "machine")), 0o600); err != nil {
		t.Fatal(err)
	}
	seconds, err := o.call(t.Context(), "call", "publish-evidence", "--release", o.release(), "--organisation", o.name,
		"--attest-key", "file:"+filepath.Join(o.keys, "attest.key"), "--machine", machine, "-o", o.private)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: publish-evidence %.1f s", o.name, seconds)
}

func (o *organisation) program(name string) string { return filepath.Join(o.dir, "programs", name) }

// unshown is the folder RELEASE/ORGANISATION that others have not seen yet, published the
// one that they have.
func (o *organisation) unshown(t *testing.T) string { t.Helper(); return o.evidence(t, o.private) }

func (o *organisation) published(t *testing.T) string { t.Helper(); return o.evidence(t, o.shared) }

func (o *organisation) evidence(t *testing.T, below string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(below, "*", o.name))
	if err != nil || len(found) != 1 {
		t.Fatalf("below %s there is %q of %s (%v)", below, found, o.name, err)
	}
	return found[0]
}

var digest = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

func (o *organisation) fingerprint(t *testing.T) string {
	t.Helper()
	text := o.must(t, "attest", "keys", "fingerprint", filepath.Join(o.keys, "attest.pub"))
	sum := digest.FindString(text)
	if sum == "" {
		t.Fatalf("no fingerprint in %q", text)
	}
	return sum
}

// must runs one of the organisation's programs and returns what it printed.
func (o *organisation) must(t *testing.T, program string, args ...string) string {
	t.Helper()
	text, err := command(t.Context(), o.dir, o.program(program), args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// printed returns what a program printed and its exit code, -1 if it has none.
func printed(ctx context.Context, name string, args ...string) (string, int) {
	text, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return string(text), 0
	case errors.As(err, &exit):
		return string(text), exit.ExitCode()
	default:
		return fmt.Sprint(err), -1
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
