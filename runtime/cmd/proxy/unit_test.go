package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

// patience is how long a test waits for what should happen at once.
const patience = time.Minute

// A unit does to the program what systemd does: it listens, starts the program with
// the socket, hears that it is ready or stops, and ends it.
type unit struct {
	page   *proxytest.Page
	dir    string
	notify *net.UnixConn
	cmd    *exec.Cmd
	ended  chan error
	log    bytes.Buffer
	url    string
	hold   chan struct{}
	held   *http.Response
}

type unitKey struct{}

func newUnit(page *proxytest.Page) (*unit, error) {
	dir, err := os.MkdirTemp("", "unit") // the name of a socket is short
	if err != nil {
		return nil, err
	}
	u := &unit{page: page, dir: dir, ended: make(chan error, 1)}
	u.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	return u, err
}

// start starts the program in a folder with a socket on an address, by way of a shell
// that knows its process number before it becomes the program.
func (u *unit) start(dir, address string, args ...string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer l.Close()
	u.url = "http://" + l.Addr().String()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	program, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, program}, args...)...)
	cmd.Dir = dir
	cmd.ExtraFiles = []*os.File{file}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=http", "NOTIFY_SOCKET="+filepath.Join(u.dir, "notify"))
	cmd.Stderr = &u.log
	if err := cmd.Start(); err != nil {
		return err
	}
	u.cmd = cmd
	go func() { u.ended <- cmd.Wait() }()
	return nil
}

// hear waits for what the program says of its state.
func (u *unit) hear(want string) error {
	if err := u.notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	raw := make([]byte, 4096)
	n, err := u.notify.Read(raw)
	if err != nil || string(raw[:n]) != want {
		return fmt.Errorf("the program says %q (%w), want %s", raw[:n], err, want)
	}
	return nil
}

// wait waits for the program's end, with this code.
func (u *unit) wait(want int) error {
	select {
	case err := <-u.ended:
		code := u.cmd.ProcessState.ExitCode()
		if u.cmd = nil; code != want {
			return fmt.Errorf("the program ended with %w, want code %d", err, want)
		}
		return nil
	case <-time.After(patience):
		return errors.New("the program does not end")
	}
}

func (u *unit) kill() {
	if u.cmd != nil {
		_ = u.cmd.Process.Kill()
		<-u.ended
	}
	_ = u.notify.Close()
	_ = os.RemoveAll(u.dir)
}

// commands of the scripts:
//
//	activate ADDRESS [ARGUMENT...]   starts the program with a socket there
//	hear STATE                       what it tells systemd
//	get PATH STATUS                  asks it; stdout has the headers and the start of the body
//	hold PATH                        asks for a file that the page stops giving half way
//	let-go                           the page gives the rest: the whole file must arrive
//	cut                              the file must end before its end
//	terminate                        SIGTERM
//	ended CODE [TEXT]                it ends with a code, its log has a text
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"activate": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(of(ts).start(ts.MkAbs("."), args[0], args[1:]...))
	},
	"hear": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(of(ts).hear(args[0])) },
	"get":  get,
	"hold": hold,
	"let-go": func(ts *testscript.TestScript, _ bool, _ []string) {
		u := of(ts)
		close(u.hold)
		body, err := io.ReadAll(u.held.Body)
		if err != nil || string(body) != large {
			ts.Fatalf("%d bytes, %v", len(body), err)
		}
	},
	"cut": func(ts *testscript.TestScript, _ bool, _ []string) {
		u := of(ts)
		body, err := io.ReadAll(u.held.Body)
		if err == nil || len(body) >= len(large) {
			ts.Fatalf("%d bytes, and no error", len(body))
		}
		close(u.hold)
	},
	"terminate": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).cmd.Process.Signal(unix.SIGTERM)) },
	"ended": func(ts *testscript.TestScript, _ bool, args []string) {
		code, err := strconv.Atoi(args[0])
		ts.Check(err)
		err = of(ts).wait(code)
		ts.Logf("%s", of(ts).log.String())
		ts.Check(err)
		if len(args) > 1 && !strings.Contains(of(ts).log.String(), args[1]) {
			ts.Fatalf("the log does not say %q", args[1])
		}
	},
}

func of(ts *testscript.TestScript) *unit { return ts.Value(unitKey{}).(*unit) }

func request(ts *testscript.TestScript, path string) *http.Response {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	ts.Defer(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, of(ts).url+path, nil)
	ts.Check(err)
	// A connection each: none is there from a program that ended.
	rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	ts.Check(err)
	ts.Defer(func() { _ = rsp.Body.Close() })
	return rsp
}

func get(ts *testscript.TestScript, _ bool, args []string) {
	rsp := request(ts, args[0])
	body, err := io.ReadAll(rsp.Body)
	ts.Check(err)
	if strconv.Itoa(rsp.StatusCode) != args[1] {
		ts.Fatalf("%s: %s, want %s: %.200s", args[0], rsp.Status, args[1], body)
	}
	fmt.Fprintf(ts.Stdout(), "%.4000s", body)
}

func hold(ts *testscript.TestScript, _ bool, args []string) {
	u := of(ts)
	u.hold = make(chan struct{})
	u.page.Change(func() { u.page.Hold = u.hold })
	u.held = request(ts, args[0])
	if u.held.StatusCode != http.StatusOK || u.held.ContentLength != int64(len(large)) {
		ts.Fatalf("%s: %s, %d bytes", args[0], u.held.Status, u.held.ContentLength)
	}
}
