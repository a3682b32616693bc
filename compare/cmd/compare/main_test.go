package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/releasetest"
	"github.com/mastercard/mangos/compare/stepstest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"compare": func() { os.Exit(run()) }})
}

// TestScripts runs the scripts in testdata. Besides compare they have:
//
//	release DIR [kernel=BYTE] [initrd=TEXT] [root=FILE] [version=V] [signature=TEXT]
//	    makes DIR/release and DIR/unsigned
//	programs DIR NAME=TEXT…    attests, in DIR/release, that these programs made it
//	build FILE [FLAG]          compiles tool.go
//	erofs FILE DIR             makes an image of a folder
//	keygen DIR                 makes DIR/attest.key and DIR/attest.pub
//	organisations FILE ID=DIR[,DIR]…
//	    registers organisations with the keys of folders
//	code N compare ARGS…       requires the exit code N
//	edit FILE FROM TO          replaces a text, which must be there
//	serve DIR                  serves a folder, at the address $SITE
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: commands(t)})
}

func commands(t *testing.T) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"release":       func(ts *testscript.TestScript, _ bool, args []string) { makeRelease(t, ts, args) },
		"programs":      func(ts *testscript.TestScript, _ bool, args []string) { attestPrograms(t, ts, args) },
		"keygen":        keygen,
		"organisations": organisations,
		"code":          code,
		"edit":          edit,
		"serve":         serve,
		"build":         build,
		"erofs":         makeErofs,
	}
}

func makeRelease(t *testing.T, ts *testscript.TestScript, args []string) {
	var o releasetest.Options
	for _, a := range args[1:] {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "kernel":
			o.Kernel = value[0]
		case "initrd":
			o.Initrd = value
		case "root":
			o.Root = []byte(ts.ReadFile(value))
		case "version":
			o.Version = value
		case "signature":
			o.Signature = value
		default:
			ts.Fatalf("release: what is %q?", a)
		}
	}
	releasetest.Write(t, ts.MkAbs(args[0]), o)
}

func attestPrograms(t *testing.T, ts *testscript.TestScript, args []string) {
	step := stepstest.Step{Name: "programs", Materials: map[string]string{"source": "source"}, Products: map[string]string{}}
	for _, a := range args[1:] {
		name, text, _ := strings.Cut(a, "=")
		step.Products[evidence.ProgramPrefix+name] = text
	}
	stepstest.Write(t, ts.MkAbs(args[0]+"/release"), step)
}

func keygen(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		_, err := keys.Generate(ts.MkAbs(dir), keys.Options{Roles: []keys.Role{keys.Attest}})
		ts.Check(err)
	}
}

func organisations(ts *testscript.TestScript, _ bool, args []string) {
	var list []string
	for _, a := range args[1:] {
		id, dirs, _ := strings.Cut(a, "=")
		var ids []string
		for _, dir := range strings.Split(dirs, ",") {
			key, err := keys.LoadPublic(keys.Attest, filepath.Join(ts.MkAbs(dir), "attest.pub"))
			ts.Check(err)
			sum, err := keys.KeyID(key)
			ts.Check(err)
			ids = append(ids, fmt.Sprintf(`{"sha256": %q}`, sum))
		}
		list = append(list, fmt.Sprintf(`{"id": %q, "keys": [%s]}`, id, strings.Join(ids, ", ")))
	}
	text := fmt.Sprintf("{\"format\": \"mangos-organisations-1\", \"organisations\": [\n%s\n]}\n", strings.Join(list, ",\n"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

func code(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

func edit(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o644))
}

func serve(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(server.Close)
	ts.Setenv("SITE", server.URL)
}

func build(ts *testscript.TestScript, _ bool, args []string) {
	flags := append([]string{"build", "-trimpath", "-ldflags=-buildid=", "-o", ts.MkAbs(args[0])}, args[1:]...)
	cmd := exec.Command("go", append(flags, "tool.go")...)
	cmd.Dir = ts.MkAbs(".")
	// With the cache of compiled packages of whoever runs the test.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off", "GOTOOLCHAIN=local", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	ts.Logf("%s", out)
	ts.Check(err)
}

func makeErofs(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("mkfs.erofs", "--quiet", "-zlz4", "-T1700000000", "--all-root",
		"-U11111111-1111-1111-1111-111111111111", ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}
