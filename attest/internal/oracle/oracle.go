// Package oracle runs other people's tools in tests, to hold our results
// against theirs.
//
// A tool is looked for on PATH and where systemd keeps its own, and then in the
// root file system that MANGOS_TOOLS names (the pipeline's tool container, unpacked): from there it
// runs through its own dynamic loader, so that nobody needs to be root. A
// missing tool skips the test with the reason; with MANGOS_ORACLES=required,
// as the pipeline sets it, it fails the test instead.
package oracle

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loader and libraries of an amd64 Debian root file system.
const (
	loader    = "lib64/ld-linux-x86-64.so.2"
	libraries = "usr/lib/x86_64-linux-gnu"
)

// Command returns a command that runs the tool called name in dir, or skips
// (or fails, see the package documentation) the test.
func Command(t testing.TB, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	for _, place := range []string{name, filepath.Join("/usr/lib/systemd", name)} {
		if path, err := exec.LookPath(place); err == nil {
			c := exec.Command(path, args...)
			c.Dir = dir
			return c
		}
	}
	if root := os.Getenv("MANGOS_TOOLS"); root != "" {
		for _, folder := range []string{"usr/bin", "usr/sbin", "usr/lib/systemd"} {
			path := filepath.Join(root, folder, name)
			if _, err := os.Stat(path); err != nil {
				continue
			}
			all := append([]string{"--library-path", filepath.Join(root, libraries) + ":" + filepath.Join(root, libraries, "systemd"), path}, args...)
			c := exec.Command(filepath.Join(root, loader), all...)
			c.Dir = dir
			return c
		}
	}
	Missing(t, name)
	return nil
}

// Missing skips or fails the test for want of what.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("MANGOS_ORACLES") == "required" {
		t.Fatalf("%s is missing, and MANGOS_ORACLES=required", what)
	}
	t.Skipf("%s is neither on PATH nor in the root file system that MANGOS_TOOLS names", what)
}

// Run runs the tool and returns its standard output; the test fails when the
// tool does.
func Run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	out, stderr, err := run(Command(t, dir, name, args...))
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr)
	}
	return out
}

// Refuse runs the tool and returns what it printed; the test fails when the
// tool succeeds.
func Refuse(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	out, stderr, err := run(Command(t, dir, name, args...))
	if err == nil {
		t.Fatalf("%s %s succeeded; it must refuse\n%s%s", name, strings.Join(args, " "), out, stderr)
	}
	return out + stderr
}

func run(c *exec.Cmd) (stdout, stderr string, err error) {
	var o, e strings.Builder
	c.Stdout, c.Stderr = &o, &e
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	err = c.Run()
	return o.String(), e.String(), err
}
