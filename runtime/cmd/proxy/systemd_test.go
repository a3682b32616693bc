//go:build oracle

package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/proxy/proxytest"
	"github.com/mastercard/mangos/runtime/service/servicetest"
)

var image = servicetest.Image{Tree: "../../../modules/image/tree/root"}

// The real thing hands over a socket: systemd-socket-activate starts the program when
// somebody connects.
func TestSocketActivate(t *testing.T) {
	activate, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skipf("systemd-socket-activate is not here: %v", err)
	}
	program, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for file, content := range proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "a kernel image"}).Files {
		put(t, filepath.Join(folder, file), content, 0o600)
	}
	config := filepath.Join(t.TempDir(), "proxy.json")
	put(t, config, fmt.Appendf(nil, `{"repositories": {"mangos": {"folder": %q}}}`, folder), 0o600)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil { // it wants an address, and opens it itself
		t.Fatal(err)
	}
	cmd := exec.Command(activate, "-l", address, program, "--config", config)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	var rsp *http.Response
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if rsp, err = http.Get("http://" + address + "/mangos/mangos_1.efi"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	defer rsp.Body.Close()
	if body, err := io.ReadAll(rsp.Body); err != nil || string(body) != "a kernel image" {
		t.Errorf("%s, %q, %v", rsp.Status, body, err)
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// What the service logs goes to the journal in fields, and not to standard error, which
// would be the journal, too. Only root can stand where journald does: in a mount
// namespace with a /run of its own.
func TestJournal(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can stand where journald does")
	}
	dir, err := os.MkdirTemp("", "journal") // the name of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	journal, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(stderr.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "proxy.json")
	put(t, config, fmt.Appendf(nil, `{"repositories": {"mangos": {"folder": %q}}}`, dir), 0o600)
	const script = `mount -t tmpfs tmpfs /run && mkdir /run/systemd && ln -s "$0" /run/systemd/journal && exec "$@"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, dir, program, "--config", config, "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), fmt.Sprintf("JOURNAL_STREAM=%d:%d", st.Dev, st.Ino))
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	if err := journal.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64<<10)
	n, err := journal.Read(raw)
	for _, field := range []string{"SYSLOG_IDENTIFIER\n", name, "PRIORITY\n", "ADDRESS\n", "127.0.0.1:"} {
		if err != nil || !bytes.Contains(raw[:n], []byte(field)) {
			t.Errorf("no %q in %q (%v)", field, raw[:n], err)
		}
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(stderr.Name()); err != nil || len(text) > 0 {
		t.Errorf("on standard error: %q, %v", text, err)
	}
}

func TestUnits(t *testing.T) {
	image.CheckUnits(t, "/usr/lib/mangos/proxy", nil, name+".socket", name+".service")
}

func put(t *testing.T, path string, content []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

// open are the liberties that systemd counts and the service needs: it asks hosts
// anywhere on the network, and speaks to the journal. Its files are the system's.
var open = []string{
	"DeviceAllow", "IPAddressDeny", "PrivateNetwork", "RestrictAddressFamilies_AF_INET_INET6",
	"RestrictAddressFamilies_AF_UNIX", "RootDirectoryOrRootImage",
}

func TestExposure(t *testing.T) { image.CheckExposure(t, name+".service", 11, open) }

func TestNotEnabled(t *testing.T) { image.CheckNotEnabled(t, name) }
