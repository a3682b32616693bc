package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadOnly: a command makes and changes nothing in the folders of --in, nor in what
// is mounted there, by any way that leads to them; in a variation neither.
func TestReadOnly(t *testing.T) {
	needRoot(t)
	in, out := t.TempDir(), t.TempDir()
	mounted := filepath.Join(in, "mounted")
	if err := os.Mkdir(mounted, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", mounted, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mounted, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for _, file := range []string{in + "/file", mounted + "/file"} {
		if err := os.WriteFile(file, []byte("abc"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flags := []string{"--in", in, "--out", out, "--"}
	for _, env := range [][]string{nil, {"MANGOS_VARIATION=again"}} {
		for _, to := range []string{in + "/file", in + "/new", mounted + "/file", mounted + "/new"} {
			status, text := sandbox(t, env, append(flags, programs.probe, "copy", in+"/file", to)...)
			if status != 1 || !strings.Contains(text, "read-only file system") {
				t.Errorf("%v: %s: status %d: %s", env, to, status, text)
			}
		}
		for from, to := range map[string]string{in + "/file": out + "/file", mounted + "/file": out + "/file"} {
			if status, text := sandbox(t, env, append(flags, programs.probe, "copy", from, to)...); status != 0 {
				t.Errorf("%v: %s: status %d: %s", env, to, status, text)
			}
		}
	}
	if status, text := sandbox(t, nil, "--in", in, "--out", mounted, "--", "true"); status != 125 || !strings.Contains(text, "lies in a folder of --in") {
		t.Errorf("products among inputs: status %d: %s", status, text)
	}
	// A sandbox that is started in the folder stands there before it is read-only.
	c := exec.Command(programs.sandbox, append(flags, "readlink", "/proc/1/cwd")...)
	c.Dir = in
	if text, err := c.Output(); err != nil || string(text) != "/\n" {
		t.Errorf("process 1 stands in %q: %v", text, err)
	}
	// What is seen from outside is as it was.
	for _, file := range []string{in + "/outside", mounted + "/outside"} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Error(err)
		}
	}
}
