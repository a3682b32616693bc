package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/sandbox/trace"
)

// told is what the probe says about the world.
type told struct {
	trace.World
	Offset    int
	Arguments []string
	Place     string
}

func read(t *testing.T, text string) told {
	t.Helper()
	var w told
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return w
}

// steps returns the traces of the build "again" in a folder.
func steps(t *testing.T, folder string) []trace.Step {
	t.Helper()
	steps, err := trace.Load(folder, "again")
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// TestVariation: the command sees another world in every respect, its trace says
// the same of it, and the usual one is what a command sees without a variation.
func TestVariation(t *testing.T) {
	folder, work := t.TempDir(), t.TempDir()
	for _, dir := range []string{"source", "result"} {
		if err := os.Mkdir(filepath.Join(work, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	source, result := filepath.Join(work, "source"), filepath.Join(work, "result")
	args := []string{"--in", source, "--out", result, "--dir", source, "--env", "PLACE=" + result, "--", programs.probe, "tell", source + "/x", "--out=" + result + "/", source + "x"}
	status, out := sandbox(t, nil, args...)
	if status != 0 {
		t.Fatalf("status %d: %s", status, out)
	}
	usual := read(t, out)
	if err := os.WriteFile(filepath.Join(source, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	status, out = sandbox(t, []string{"MANGOS_VARIATION=again", "MANGOS_TRACE=" + folder}, args...)
	list := steps(t, folder)
	if status != 0 || len(list) != 1 {
		t.Fatalf("status %d, %d traces: %s", status, len(list), out)
	}
	seen, step := read(t, out), list[0]
	if len(step.Inputs) != 1 || step.Inputs[0].Name != source+"/x" {
		t.Errorf("inputs: %+v", step.Inputs)
	}
	for _, v := range []struct {
		what                     string
		usual, seen, said, known any
	}{
		{"host name", usual.Hostname, seen.Hostname, step.Seen.Hostname, step.Usual.Hostname},
		{"user", usual.User, seen.User, step.Seen.User, step.Usual.User},
		{"login", usual.Login, seen.Login, step.Seen.Login, step.Usual.Login},
		{"zone", usual.Zone, seen.Zone, step.Seen.Zone, step.Usual.Zone},
		{"locale", usual.Locale, seen.Locale, step.Seen.Locale, ""},
		{"umask", usual.Umask, seen.Umask, step.Seen.Umask, step.Usual.Umask},
		{"processors", usual.Processors, seen.Processors, step.Seen.Processors, step.Usual.Processors},
		{"folder", usual.Folder, seen.Folder, step.Seen.Folder, step.Usual.Folder},
		{"home", usual.Home, seen.Home, step.Seen.Home, step.Usual.Home},
	} {
		if v.usual == v.seen || v.said != v.seen || v.usual != v.known {
			t.Errorf("%s: usually %v, in a variation %v; the trace says %v and %v", v.what, v.usual, v.seen, v.known, v.said)
		}
	}
	if early := time.Now().Add(later).Sub(seen.Time); early < 0 || early > time.Hour || seen.Time.Sub(step.Seen.Time) > time.Hour {
		t.Errorf("the time is %v, its trace says %v", seen.Time, step.Seen.Time)
	}
	if usual.Offset != 0 || seen.Offset != 14*3600 {
		t.Errorf("the zones are %d and %d s ahead of UTC", usual.Offset, seen.Offset)
	}
	if w := strings.Join(seen.Arguments, " "); w != seen.Folder+"/x --out="+strings.TrimSuffix(seen.Folder, source)+result+"/ "+source+"x" {
		t.Errorf("the words are %s", w)
	}
	if seen.Place != strings.TrimSuffix(seen.Folder, source)+result {
		t.Errorf("the variable is %s", seen.Place)
	}
	if _, err := os.Stat(seen.Home); !os.IsNotExist(err) {
		t.Errorf("the variation's folder is still there: %v", err)
	}
}

// TestTrace: what a command read and made stands in its trace; what it would find
// in the usual places is gone; a command that fails leaves no trace.
func TestTrace(t *testing.T) {
	folder, in, out := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(in, "file"), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"MANGOS_VARIATION=again", "MANGOS_TRACE=" + folder}
	for _, fails := range [][]string{
		{"--", programs.probe, "exit"},
		{"--", "no-such-command"},
		{"--", "sh", "-c", "test -e " + in + "/file"},       // not a word that is a path
		{"--", programs.probe, "list", "/", in + "/absent"}, // given, and not there
		{"--dir", "/no/such/folder", "--", programs.probe, "list", "/"},
	} {
		if status, text := sandbox(t, env, append([]string{"--in", in, "--out", out}, fails...)...); status == 0 {
			t.Errorf("%v: status 0: %s", fails, text)
		}
	}
	if len(steps(t, folder)) > 0 {
		t.Error("a command that failed left a trace")
	}
	if err := os.MkdirAll(filepath.Join(in, "library", "part"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(in, "library", "part", "x"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, text := sandbox(t, env, "--in", in, "--out", out, "--env", "PARTS="+in+"/library/part", "--env", "LIBRARY="+in+"/library",
		"--", programs.probe, "copy", in+"/file", out+"/copy"); status != 0 {
		t.Fatalf("status %d: %s", status, text)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	list := steps(t, folder)
	if len(list) != 1 || len(list[0].Inputs) != 2 || list[0].Inputs[1].Name != in+"/library/part/x" || len(list[0].Results) != 1 {
		t.Fatalf("traces: %+v", list)
	}
	for name, item := range map[string]trace.Item{in + "/file": list[0].Inputs[0], out + "/copy": list[0].Results[0]} {
		if item.Name != name || item.Path == name || !strings.HasSuffix(item.Path, name) || item.SHA256 != abc || item.Kind != trace.File || item.Size != 3 {
			t.Errorf("%s: %+v", name, item)
		}
	}
	if content, err := os.ReadFile(filepath.Join(out, "copy")); err != nil || string(content) != "abc" {
		t.Errorf("the result: %q, %v", content, err)
	}
	for _, refused := range [][]string{{"--in", "relative", "--", "true"}, {"--out", "/", "--", "true"}, {"--root", in, "--nest", "--", "true"}} {
		if status, text := sandbox(t, env, refused...); status != 125 {
			t.Errorf("%v: status %d: %s", refused, status, text)
		}
	}
	if status, text := sandbox(t, []string{"MANGOS_VARIATION=../x"}, "--", "true"); status != 125 || !strings.Contains(text, "name of a build") {
		t.Errorf("a name that leads elsewhere: status %d: %s", status, text)
	}
}

// TestVariationOwn: another user can do what dpkg does, and no more than root.
func TestVariationOwn(t *testing.T) {
	dir := t.TempDir()
	if status, out := sandbox(t, []string{"MANGOS_VARIATION=again"}, "--", programs.probe, "own", dir); status != 0 {
		t.Errorf("status %d: %s", status, out)
	}
	for _, act := range []string{"mount", "rename-host", "unshare"} {
		if status, out := sandbox(t, []string{"MANGOS_VARIATION=again"}, "--", programs.probe, act); status != 1 || !strings.Contains(out, "operation not permitted") {
			t.Errorf("%s: status %d: %s", act, status, out)
		}
	}
}

// TestNest: a sandbox in a sandbox is in the same other world, as root in a tree
// of its own; the outer one alone leaves a trace.
func TestNest(t *testing.T) {
	folder, dir := t.TempDir(), root(t)
	inner := []string{programs.sandbox, "--root", dir, "--", "/probe", "tell"}
	if status, out := sandbox(t, nil, append([]string{"--"}, inner...)...); status == 0 {
		t.Errorf("a sandbox in one without --nest: %s", out)
	}
	status, out := sandbox(t, nil, append([]string{"--nest", "--"}, inner...)...)
	if status != 0 {
		t.Fatalf("status %d: %s", status, out)
	}
	if w := read(t, out); w.Hostname != defaultHostname || w.User != "0:0" || time.Since(w.Time) > time.Hour {
		t.Errorf("usually: %+v", w)
	}
	status, out = sandbox(t, []string{"MANGOS_VARIATION=again", "MANGOS_TRACE=" + folder}, append([]string{"--nest", "--in", dir, "--"}, inner...)...)
	list := steps(t, folder)
	if status != 0 || len(list) != 1 {
		t.Fatalf("status %d, %d traces: %s", status, len(list), out)
	}
	w := read(t, out)
	if early := time.Now().Add(later).Sub(w.Time); early < 0 || early > time.Hour {
		t.Errorf("the time is %v", w.Time)
	}
	if w.Hostname != "variation" || w.User != "0:0" || w.Locale != "C" || w.Zone != "<+14>-14" || w.Umask != "0002" || w.Processors != 1 {
		t.Errorf("in a variation: %+v", w)
	}
	if !list[0].Nest || list[0].Seen.User != "0:0" {
		t.Errorf("its trace: %+v", list[0])
	}
}
