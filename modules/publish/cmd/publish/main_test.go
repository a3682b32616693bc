package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"publish": func() { os.Exit(run()) }})
}

// Each script finds a release, mangos 1.0, in ./release, and a release page at $API, which
// takes files at $UPLOADS from who has ./token. `status CODE COMMAND...` wants a command
// to end with a code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
		Setup: func(e *testscript.Env) error {
			page := proxytest.NewPage(t)
			page.Token = "a-secret-token"
			e.Setenv("API", page.URL)
			e.Setenv("UPLOADS", page.Uploads)
			if err := os.WriteFile(filepath.Join(e.WorkDir, "token"), []byte(page.Token+"\n"), 0o600); err != nil {
				return err
			}
			dir := filepath.Join(e.WorkDir, "release")
			return os.CopyFS(dir, os.DirFS(installtest.Build(t, "1.0", nil).Folder(t)))
		},
	})
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND...")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = fmt.Sprint(err)
	}
	if want := args[0]; got != want && got != "exit status "+want {
		ts.Fatalf("the command ends with %q, want %s", got, want)
	}
}
