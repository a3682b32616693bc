package main

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// programs are the sandbox and the probe, built static as they are used.
var programs struct{ sandbox, probe string }

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "sandbox-test-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		programs.sandbox, programs.probe = filepath.Join(dir, "sandbox"), filepath.Join(dir, "probe")
		for out, pkg := range map[string]string{programs.sandbox: ".", programs.probe: "./testdata/probe"} {
			cmd := exec.Command("go", "build", "-o", out, pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if msg, err := cmd.CombinedOutput(); err != nil {
				panic(string(msg))
			}
		}
		return m.Run()
	}())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("making namespaces needs root: run this test as root")
	}
}

// sandbox runs the program and returns its status and both outputs together.
func sandbox(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	needRoot(t)
	var out bytes.Buffer
	cmd := exec.Command(programs.sandbox, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// root returns a folder with the probe and the folders that a root needs.
func root(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"proc", "dev", "sys", "tmp", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(programs.probe)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "probe"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNoNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	if status, out := sandbox(t, nil, "--", programs.probe, "dial", addr); status == 0 {
		t.Errorf("a step reached %s from inside: %s", addr, out)
	}
	if status, out := sandbox(t, nil, "--", programs.probe, "loopback"); status != 0 {
		t.Errorf("a step cannot talk to itself: %s", out)
	}
	// The listener is one that can be reached, or the first check proves nothing.
	if status, out := sandbox(t, nil, "--keep-network", "--", programs.probe, "dial", addr); status != 0 {
		t.Errorf("with --keep-network the listener is out of reach: %s", out)
	}
}

// clean is what a step sees: names and folders, then what it may do. 880401fb are
// the capabilities CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP,
// SYS_CHROOT, MKNOD and SETFCAP. A mount that is shared says so after its options.
const clean = `host mangos
umask 0022
interfaces 1
env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
env HOME=/root
env LANG=C.UTF-8
env TZ=UTC
env SOURCE_DATE_EPOCH=1700000000
env ONE=1
CapInh: 0000000000000000
CapPrm: 00000000880401fb
CapEff: 00000000880401fb
CapBnd: 00000000880401fb
CapAmb: 0000000000000000
NoNewPrivs: 1
limit stack 8388608 -1
limit core 0 0
limit files 0 4096
mount /proc rw,nosuid,nodev,noexec,relatime proc
mount /sys rw,nosuid,nodev,relatime tmpfs
mount /dev rw,nosuid,relatime tmpfs
mount /dev/pts rw,nosuid,noexec,relatime devpts
mount /dev/shm rw,nosuid,noexec,relatime tmpfs
`

const (
	cleanTmp     = "mount /tmp rw,nosuid,nodev,relatime tmpfs\n"
	cleanFolders = `folder /dev fd full null ptmx pts random shm stderr stdin stdout tty urandom zero
folder /sys 
folder /proc 1 `
)

// TestLook holds what a step sees against what every machine must show it. The
// number of the step's own process is left out.
func TestLook(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	otherLimits(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--env", "ONE=1", "--", programs.probe, "look"}, clean + cleanFolders},
		{[]string{"--env", "ONE=1", "--root", root(t), "--", "/probe", "look", "/tmp"}, clean + cleanTmp + cleanFolders},
	} {
		status, out := sandbox(t, []string{"SOURCE_DATE_EPOCH=1700000000", "SECRET=1", "TZ=Asia/Tokyo", "LC_ALL=tr_TR"}, c.args...)
		if status != 0 || !strings.HasPrefix(out, c.want) || strings.Count(out, "\n") != strings.Count(c.want, "\n")+1 {
			t.Errorf("%v: status %d, the step sees\n%swanted\n%s", c.args, status, out, c.want)
		}
	}
	if status, out := sandbox(t, nil, "--", "sh", "-c", "ulimit -n"); status != 0 || out != "1024\n" {
		t.Errorf("status %d, a shell may open %q files, want 1024", status, out)
	}
}

// otherLimits gives the test limits that are not those of a step.
func otherLimits(t *testing.T) {
	t.Helper()
	for which, value := range map[int]uint64{syscall.RLIMIT_NOFILE: 512, syscall.RLIMIT_STACK: 4 << 20, syscall.RLIMIT_CORE: 1} {
		var old syscall.Rlimit
		if err := syscall.Getrlimit(which, &old); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(which, &syscall.Rlimit{Cur: min(value, old.Max), Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Setrlimit(which, &old); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOwn: a step may do what dpkg does.
func TestOwn(t *testing.T) {
	dir := root(t)
	if status, out := sandbox(t, nil, "--root", dir, "--", "/probe", "own", "/work"); status != 0 {
		t.Fatalf("status %d: %s", status, out)
	}
	info, err := os.Lstat(filepath.Join(dir, "work", "file"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 5678 || st.Mode&0o7777 != 0o4755 {
		t.Errorf("owner %d:%d, mode %o", st.Uid, st.Gid, st.Mode&0o7777)
	}
	// What the sandbox mounted has left no trace in the tree.
	for _, d := range []string{"dev", "proc", "sys", "tmp"} {
		if entries, err := os.ReadDir(filepath.Join(dir, d)); err != nil || len(entries) != 0 {
			t.Errorf("%s is not empty afterwards: %v %v", d, entries, err)
		}
	}
}

// TestRefused: a step may not undo its confinement.
func TestRefused(t *testing.T) {
	for _, act := range []string{"mount", "rename-host", "unshare"} {
		if status, out := sandbox(t, nil, "--", programs.probe, act); status != 1 || !strings.Contains(out, "operation not permitted") {
			t.Errorf("%s: status %d: %s", act, status, out)
		}
	}
	if status, out := sandbox(t, nil, "--user", "1:1", "--root", root(t), "--", "/probe", "own", "/work"); status != 1 {
		t.Errorf("another user owns root's folder: status %d: %s", status, out)
	}
}

func TestStatus(t *testing.T) {
	tests := []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--", programs.probe, "exit"}, 42, ""},
		{[]string{"--", "sh", "-c", "kill -9 $$"}, 137, ""},
		{[]string{"--", "no-such-command"}, 127, "no-such-command: executable file not found"},
		{[]string{"--", "/no/such/command"}, 127, "run /no/such/command in"},
		{[]string{"--", "/etc/passwd"}, 126, "run /etc/passwd: permission denied"},
		{nil, 125, "no command given"},
		{[]string{"--user", "root", "--", "true"}, 125, "not of the form UID:GID"},
		{[]string{"--user", "4294967295:0", "--", "true"}, 125, "not two numbers"},
		{[]string{"--env", "X", "--", "true"}, 125, "not of the form NAME=VALUE"},
		{[]string{"--hostname", "a b", "--", "true"}, 125, `host name "a b"`},
		{[]string{"--dir", "sub", "--", "true"}, 125, `working folder "sub"`},
		{[]string{"--root", "/no/such/root", "--", "true"}, 125, "use /no/such/root as root: no such file"},
		{[]string{"--root", t.TempDir(), "--", "true"}, 125, "there is no folder"},
		{[]string{"--", programs.probe, "orphan"}, 0, ""},
	}
	for _, tt := range tests {
		status, out := sandbox(t, nil, tt.args...)
		if status != tt.status || !strings.Contains(out, tt.says) {
			t.Errorf("%v: status %d, says %q; wanted %d, %q", tt.args, status, out, tt.status, tt.says)
		}
	}
	if status, out := sandbox(t, []string{"SOURCE_DATE_EPOCH=yesterday"}, "--", "true"); status != 125 || !strings.Contains(out, "SOURCE_DATE_EPOCH") {
		t.Errorf("a bad epoch: status %d: %s", status, out)
	}
}

// TestRootLink: a link in place of /dev must not lead the mount out of root.
func TestRootLink(t *testing.T) {
	dir := root(t)
	if err := os.Remove(filepath.Join(dir, "dev")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev", filepath.Join(dir, "dev")); err != nil {
		t.Fatal(err)
	}
	if status, out := sandbox(t, nil, "--root", dir, "--", "/probe", "look"); status != 125 {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestSignal(t *testing.T) {
	needRoot(t)
	cmd := exec.Command(programs.sandbox, "--", programs.probe, "await")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan() // ready
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	lines.Scan()
	if got := lines.Text(); got != "caught terminated" {
		t.Errorf("the command says %q", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
