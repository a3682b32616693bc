package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mastercard/mangos/modules/debian/debtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"debian": func() { os.Exit(run()) }})
}

// TestScripts runs the program. $MIRROR serves the folder "archive" of a script's
// work folder, which holds a package and a signed suite, of which the lock is in the
// folder "signed"; $DEAD is a server that is not there.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			archive := filepath.Join(e.WorkDir, "archive")
			hello := debtest.Package{Name: "hello", Version: "1", Architecture: "all", Files: []debtest.File{
				debtest.Program("usr/bin/hello", "hello"), debtest.Regular("usr/share/doc/hello/copyright", "free"),
			}}
			if err := os.MkdirAll(filepath.Join(archive, "pool"), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(archive, "pool/hello_1_all.deb"), hello.Build(t), 0o644); err != nil {
				return err
			}
			if err := signed(t, archive, filepath.Join(e.WorkDir, "signed")); err != nil {
				return err
			}
			server := httptest.NewServer(http.FileServer(http.Dir(archive)))
			e.Defer(server.Close)
			e.Setenv("MIRROR", server.URL)
			dead := httptest.NewServer(nil)
			dead.Close()
			e.Setenv("DEAD", dead.URL)
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}
