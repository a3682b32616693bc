package service

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain is the service, where the environment says so: it prints what it gets.
func TestMain(m *testing.M) {
	if os.Getenv("SERVICE_TEST") == "" {
		os.Exit(m.Run())
	}
	all, err := Listeners()
	if err != nil {
		fmt.Println(err)
		if !errors.Is(err, ErrSockets) {
			os.Exit(1)
		}
	}
	for _, l := range all {
		fmt.Println("listens on", l.Addr())
	}
	_, inherited := os.LookupEnv("LISTEN_FDS")
	flags, _ := unix.FcntlInt(firstSocket, unix.F_GETFD, 0)
	fmt.Println("inherited:", inherited, "left open:", len(all) > 0 && flags >= 0 && flags&unix.FD_CLOEXEC == 0)
}

// start starts this program as a service with files for descriptors; a shell knows its
// process number before it becomes the program.
func start(t *testing.T, pid, count string, files ...*os.File) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=`+pid+` exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "SERVICE_TEST=yes", "LISTEN_FDS="+count)
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestListeners(t *testing.T) {
	var files []*os.File
	var want strings.Builder
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
		fmt.Fprintln(&want, "listens on", l.Addr())
	}
	if got := start(t, "$$", "2", files...); got != want.String()+"inherited: false left open: false\n" {
		t.Errorf("%s", got)
	}
	other, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	silent := os.NewFile(uintptr(fd), "a socket that does not listen")
	defer silent.Close()
	for _, c := range []struct {
		pid, count string
		files      []*os.File
		want       string
	}{
		{"1", "2", files, "inherited: false"},
		{"", "2", files, "inherited: false"},
		{"$$", "", files, "inherited: false"},
		{"$$", "0", files, "inherited: false"},
		{"$$", "-1", files, "LISTEN_FDS is \"-1\""},
		{"$$", "17", files, "LISTEN_FDS is \"17\""},
		{"$$", "2x", files, "LISTEN_FDS is \"2x\""},
		{"$$", "2", []*os.File{files[0], other}, "descriptor 4: "},
		{"$$", "2", []*os.File{files[0], silent}, "descriptor 4: it does not listen"},
	} {
		if got := start(t, c.pid, c.count, c.files...); !strings.Contains(got, c.want) || strings.Contains(got, "listens") {
			t.Errorf("process %q, %q sockets: %s", c.pid, c.count, got)
		}
	}
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify(Ready); err != nil {
		t.Errorf("nobody wants to know: %v", err)
	}
	dir, err := os.MkdirTemp("", "notify") // the name of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, path := range []string{filepath.Join(dir, "socket"), "@" + filepath.Base(dir)} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", path)
		if err := Notify(Stopping); err != nil {
			t.Error(err)
		}
		raw := make([]byte, 100)
		if n, err := conn.Read(raw); err != nil || string(raw[:n]) != "STOPPING=1" {
			t.Errorf("%q, %v", raw[:n], err)
		}
		_ = conn.Close()
	}
	if err := Notify(Ready); err == nil {
		t.Error("nobody heard it, and no error")
	}
}

func TestJournaled(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{fmt.Sprintf("%d:%d", st.Dev, st.Ino): true, fmt.Sprintf("%d:%d", st.Dev, st.Ino+1): false, "": false} {
		t.Setenv("JOURNAL_STREAM", value)
		if Journaled(f) != want {
			t.Errorf("JOURNAL_STREAM=%s: not %v", value, want)
		}
	}
}
