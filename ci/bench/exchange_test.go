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
	keys, private string
}

// TestExchange lets three organisations build, publish and compare: two with keys of
// their own, and a third whose compiler was given another flag. It is a full run: go test
// -C ci/bench -tags exchange -run Exchange -timeout 90m, beside the engine that ci/dagger
// uses, which has compiled the kernel once for all of them.
func TestExchange(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	shared := filepath.Join(dir, "shared")
	var all []*organisation
	for _, name := range []string{"alpha", "beta", "gamma"} {
		all = append(all, newOrganisation(t, dir, name))
	}
	all[2].patchCompiler(t)

	members := map[string]any{"format": "mangos-organisations-1"}
	var list []any
	for _, o := range all {
		o.buildAndPublish(t)
		list = append(list, map[string]any{"id": o.name, "keys": []any{map[string]any{"sha256": o.fingerprint(t)}}})
	}
	members["organisations"] = list
	organisations, policy := filepath.Join(dir, "organisations.json"), filepath.Join(dir, "policy.json")
	writeJSON(t, organisations, members)
	writeJSON(t, policy, map[string]any{"format": "mangos-policy-1", "thresholds": map[string]int{"default": 2}})

	for _, o := range all {
		o.must(t, "compare", "commit", o.published(t), "--to", shared)
	}
	for _, o := range all {
		o.must(t, "compare", "reveal", o.published(t), "--to", shared, "--key", filepath.Join(o.keys, "attest.key"))
	}

	verdict, code := printed(ctx, all[0].program("compare"), "verdict", shared, "--policy", policy, "--organisations", organisations)
	t.Logf("verdict:\n%s", verdict)
	if code != 2 {
		t.Errorf("the verdict ends with %d, want 2: somebody differs", code)
	}
	wantLine(t, verdict, `^\S+: DIFFERS$`)
	wantLine(t, verdict, `^ +[0-9a-f]{12}  alpha, beta$`)
	wantLine(t, verdict, `^ +[0-9a-f]{12}  gamma$`)
	wantLine(t, verdict, `^ *culprit `)

	same, code := printed(ctx, all[0].program("compare"), "explain", all[0].release(), all[1].release())
	t.Logf("alpha and beta:\n%s", same)
	if code != 0 {
		t.Errorf("alpha's and beta's releases: explain ends with %d, want 0", code)
	}
	other, code := printed(ctx, all[0].program("compare"), "explain", all[0].release(), all[2].release())
	t.Logf("alpha and gamma:\n%s", other)
	if code != 2 {
		t.Errorf("alpha's and gamma's releases: explain ends with %d, want 2", code)
	}
	wantLine(t, other, `programs`)
	wantLine(t, other, `usr/lib/mangos/`)
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

// patchCompiler gives the compiler of the organisation's clone another flag. The source
// that the programs are compiled from stays what everybody has.
func (o *organisation) patchCompiler(t *testing.T) {
	t.Helper()
	const file, flag = "modules/golang/.dagger/main.go", `"-ldflags=-buildid="`
	text, err := os.ReadFile(filepath.Join(o.tree, file))
	if err != nil {
		t.Fatal(err)
	}
	patched := strings.Replace(string(text), flag, `"-gcflags=all=-l", `+flag, 1)
	if patched == string(text) {
		t.Fatalf("%s has no %s", file, flag)
	}
	if err := o.write(file, patched); err != nil {
		t.Fatal(err)
	}
}

// buildAndPublish builds root and initrd from a package cache of the organisation's own.
func (o *organisation) buildAndPublish(t *testing.T) {
	t.Helper()
	machine := filepath.Join(o.dir, "machine.json")
	if err := os.WriteFile(machine, []byte(o.must(t, "compare", "machine")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		append([]string{"call", "--package-cache", o.name, "build-image", "-o", o.release()}, keyFlags(o.keys, o.keys)...),
		{
			"call", "publish-evidence", "--release", o.release(), "--organisation", o.name,
			"--attest-key", "file:" + filepath.Join(o.keys, "attest.key"), "--machine", machine, "-o", o.private,
		},
	} {
		seconds, err := o.call(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s %.1f s", o.name, args[1], seconds)
	}
}

func (o *organisation) program(name string) string { return filepath.Join(o.dir, "programs", name) }

// published is the folder RELEASE/ORGANISATION.
func (o *organisation) published(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(o.private, "*", o.name))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s has published %q (%v)", o.name, found, err)
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

func wantLine(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(`(?m)` + pattern).MatchString(text) {
		t.Errorf("nothing matches %s", pattern)
	}
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
