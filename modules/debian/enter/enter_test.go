package enter

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain lets the test program stand for one that syncs a file that is not
// open: that fails, unless the call is filtered.
func TestMain(m *testing.M) {
	if os.Getenv("ENTER_TEST_SYNC") != "" {
		if err := errors.Join(unix.Fsync(-1), unix.Fdatasync(-1), unix.SyncFileRange(-1, 0, 0, 0), unix.Syncfs(-1)); err != nil {
			os.Exit(1)
		}
		if unix.Close(-1) == nil {
			os.Exit(2) // other calls must be as they are
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func syncer(t *testing.T) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"ENTER_TEST_SYNC=1"}
	return cmd
}

func TestStartWithoutSync(t *testing.T) {
	cmd := syncer(t)
	if err := startWithoutSync(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("syncs are not filtered: %v", err)
	}
	// This process, and what it starts otherwise, syncs as ever.
	if err := unix.Fsync(-1); err == nil {
		t.Error("the filter is on this process")
	}
	if err := syncer(t).Run(); err == nil {
		t.Error("the filter is on what this process starts")
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	sandbox := filepath.Join(dir, "sandbox")
	script := "#!/bin/sh\necho \"$@\"\nprintf '\\033[2Jbroken' >&2\nexit ${STATUS:-0}\n"
	if err := os.WriteFile(sandbox, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r := Root{Dir: "/tree", Sandbox: sandbox, Env: []string{"A=b c"}}
	out, err := r.Run(context.Background(), "/bin/x", "-y")
	if err != nil || string(out) != "--root /tree --env A=b c -- /bin/x -y\n" {
		t.Errorf("%q, %v", out, err)
	}
	t.Setenv("STATUS", "3")
	_, err = r.Run(context.Background(), "/bin/x")
	if err == nil || !strings.Contains(err.Error(), "broken") || strings.Contains(err.Error(), "\033") {
		t.Errorf("got %q, want what it printed, without escapes", err)
	}
}

func TestFindSandbox(t *testing.T) {
	if _, err := FindSandbox(""); !errors.Is(err, ErrNoSandbox) {
		t.Errorf("got %v", err)
	}
	if got, err := FindSandbox("x"); err != nil || !filepath.IsAbs(got) {
		t.Errorf("got %q, %v", got, err)
	}
}
