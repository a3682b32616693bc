package rebuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/sandbox/trace"
)

// build runs a command line in the sandbox; it writes its result to OUT and may
// read IN. The second build is the one with a name.
func build(t *testing.T, sandbox, line, name, traces string) (results string) {
	t.Helper()
	in, out := lay(t, t.TempDir(), map[string]string{"source": "source"}), t.TempDir()
	command := exec.Command(sandbox, "--in", in, "--out", out, "--", "sh", "-euc", `IN=$1 OUT=$2; `+line, "sh", in+"/source", out)
	command.Env = append(os.Environ(), "MANGOS_VARIATION="+name, "MANGOS_TRACE="+traces)
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, text)
	}
	return out
}

// TestCaught: a result that depends on the world is caught, whatever it is of the
// world, and one that does not passes.
func TestCaught(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("making namespaces needs root: run this test as root")
	}
	sandbox := filepath.Join(t.TempDir(), "sandbox")
	compile := exec.Command("go", "build", "-o", sandbox, "github.com/mastercard/mangos/modules/sandbox")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for line, same := range map[string]bool{
		`cat "$IN" >"$OUT/x"`:                         true,
		`echo "$IN" >"$OUT/x"`:                        false,
		`uname -n >"$OUT/x"`:                          false,
		`id -u >"$OUT/x"`:                             false,
		`echo "${USER:-}" >"$OUT/x"`:                  false,
		`date +%Y >"$OUT/x"`:                          false,
		`date +%m >"$OUT/x"`:                          false,
		`date -d @1700000000 >"$OUT/x"`:               false,
		`locale charmap >"$OUT/x"`:                    false,
		`umask >"$OUT/x"`:                             false,
		`nproc >"$OUT/x"`:                             false,
		`echo ~ >"$OUT/x"`:                            false,
		`stat -c %u "$(mktemp)" >"$OUT/x"`:            false,
		`date -u -r "$IN" +%s >/dev/null; :>"$OUT/x"`: true,
	} {
		traces := t.TempDir()
		r := &Rebuild{First: build(t, sandbox, line, "", traces), Second: build(t, sandbox, line, "again", traces)}
		var err error
		if r.Steps, err = trace.Load(traces, "again"); err != nil {
			t.Fatal(err)
		}
		for i := range r.Steps {
			for _, item := range r.Steps[i].Inputs {
				r.Given = append(r.Given, item.Name)
			}
		}
		list, text := check(t, r)
		if list.OK() != same || !same && !strings.Contains(text, "FAIL x: differs") {
			t.Errorf("%s: passes: %v, wanted %v\n%s", line, list.OK(), same, text)
		}
	}
}
