package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/verify/verifytest"
	"github.com/mastercard/mangos/modules/image/extension"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"attest": func() { os.Exit(run()) }})
}

// commands are those that scripts have besides testscript's own.
var commands = map[string]func(*testscript.TestScript, bool, []string){"status": status}

// status runs a command and wants it to end with a code: status CODE COMMAND...
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

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: commands})
}

// TestReleaseScripts runs the scripts that need a release. In their folder they
// find it as release, and what it was made of: keys, records, modules and definition;
// and as extension one that was built by itself, with its records.
func TestReleaseScripts(t *testing.T) {
	w := verifytest.New(t, t.TempDir(), "Example", "hello", verifytest.Extended(""))
	release, extensions := w.Release(t), t.TempDir()
	single := w.Single(t, extensions, w.Keys, extension.Options{Class: extension.Confext, Name: "site", Purpose: "site", Counter: 3})
	testscript.Run(t, testscript.Params{Dir: "testdata/release", Cmds: commands, Setup: func(e *testscript.Env) error {
		e.Setenv("HIDDEN", "/\u202e") // a path with a character that turns the text around
		for name, from := range map[string]string{"release": release, "keys": w.Keys, "modules": w.Modules, "definition": filepath.Join(w.Work, "definition"), "extension": extensions} {
			if err := os.CopyFS(filepath.Join(e.WorkDir, name), os.DirFS(from)); err != nil {
				return err
			}
		}
		return errors.Join(writeRecords(filepath.Join(e.WorkDir, "records"), w.Records), writeRecords(filepath.Join(e.WorkDir, "extension-records"), single))
	}})
}

func writeRecords(dir string, records []*record.Record) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, r := range records {
		text, err := r.Encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, r.Step+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
