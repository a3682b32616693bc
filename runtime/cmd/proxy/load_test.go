package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

const (
	clients = 1000
	slow    = 100 // of each kind
	// maxMemory is half of what the service's unit allows.
	maxMemory = 128 << 20
)

// A thousand clients at once get right answers, with others before them that take
// nothing, say nothing, or wait for a page that says nothing; while the page has
// something new, and while it is down. Then nothing of it is left.
func TestLoad(t *testing.T) {
	page := proxytest.NewPage(t)
	first := proxytest.Publish(t, "v1.0", map[string]string{"small": "a kernel image", "mangos_1.0.raw": large})
	next := proxytest.Publish(t, "v1.1", map[string]string{"small": "another one"})
	page.Releases = []proxytest.Release{first}
	l := startLoad(t, page)
	l.round(1, first)
	before := l.descriptors()

	hold := make(chan struct{})
	page.Change(func() { page.Hold = hold })
	const request = "GET /mangos/mangos_1.0.raw HTTP/1.1\r\nHost: localhost\r\n\r\n"
	occupied := l.occupy(request, true) // the page stops half way
	page.Change(func() { page.Hold = nil })
	occupied = append(occupied, l.occupy(request, true)...)                   // and these take nothing
	occupied = append(occupied, l.occupy(request[:len(request)-2], false)...) // and these say half of it

	l.round(clients, first)
	page.Change(func() { page.Releases = []proxytest.Release{next, first} })
	l.round(clients, first, next)
	l.until("the new release", func(_ http.Header, body string) bool { return body == string(next.Files["SHA256SUMS"]) })
	l.round(clients, next)
	page.Change(func() { page.Down = true })
	l.until("the outage", func(header http.Header, _ string) bool { return header.Get("Warning") != "" })
	l.round(clients, next)

	if during := l.descriptors(); during < before+3*slow {
		t.Errorf("%d descriptors with %d clients that hold on, %d without", during, 3*slow, before)
	}
	close(hold)
	for _, c := range occupied {
		_ = c.Close()
	}
	deadline := time.Now().Add(patience)
	for l.descriptors() > before+20 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if after := l.descriptors(); after > before+20 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if peak := l.peak(); peak > maxMemory {
		t.Errorf("%d MiB of memory", peak>>20)
	} else {
		t.Logf("%d MiB of memory at most", peak>>20)
	}
	if err := l.unit.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.unit.hear("STOPPING=1"), l.unit.wait(0)); err != nil {
		t.Error(err)
	}
}

// load is a program under load.
type load struct {
	t    *testing.T
	unit *unit
}

func startLoad(t *testing.T, page *proxytest.Page) *load {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, "release.pub")
	config := fmt.Sprintf(`{"repositories": {"mangos": {"github": "example/mangos", "api": %q, "keyFile": %q}}, "fresh": "1s"}`, page.URL, key)
	for path, text := range map[string][]byte{key: installtest.ReleaseKey().Public, filepath.Join(dir, "proxy.json"): []byte(config)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u, err := newUnit(page)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.kill)
	if err := errors.Join(u.start(dir, "127.0.0.1:0", "--config", "proxy.json", "--cache", "cache"), u.hear("READY=1")); err != nil {
		t.Fatalf("%v\n%s", err, u.log.String())
	}
	return &load{t, u}
}

// round lets n clients ask at once: all are connected before the first one asks. Each
// gets the manifest of one of the releases.
func (l *load) round(n int, releases ...proxytest.Release) {
	l.t.Helper()
	var connected, all sync.WaitGroup
	connected.Add(n)
	for range n {
		all.Go(func() {
			conn, err := l.dial()
			connected.Done()
			if err != nil {
				l.t.Error(err)
				return
			}
			defer conn.Close()
			connected.Wait()
			_, body, err := ask(conn)
			if err != nil || !slices.ContainsFunc(releases, func(r proxytest.Release) bool { return body == string(r.Files["SHA256SUMS"]) }) {
				l.t.Errorf("%v: %.200q is no manifest of these releases", err, body)
			}
		})
	}
	all.Wait()
}

// until asks until the answer is what it should become.
func (l *load) until(what string, seen func(header http.Header, body string) bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn, err := l.dial()
		if err != nil {
			l.t.Fatal(err)
		}
		header, body, err := ask(conn)
		_ = conn.Close()
		if err != nil {
			l.t.Fatal(err)
		}
		if seen(header, body) {
			return
		}
	}
	l.t.Fatalf("%s does not show", what)
}

func (l *load) dial() (net.Conn, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.unit.url, "http://"))
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// ask asks for the manifest.
func ask(conn net.Conn) (http.Header, string, error) {
	if _, err := io.WriteString(conn, "GET /mangos/SHA256SUMS HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, "", err
	}
	rsp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, "", err
	}
	defer rsp.Body.Close()
	body, err := io.ReadAll(rsp.Body)
	if err == nil && rsp.StatusCode != http.StatusOK {
		err = errors.New(rsp.Status)
	}
	return rsp.Header, string(body), err
}

// occupy lets slow clients say something, and wait for the beginning of an answer.
func (l *load) occupy(text string, answered bool) []net.Conn {
	l.t.Helper()
	var all []net.Conn
	for range slow {
		conn, err := l.dial()
		if err == nil {
			_, err = io.WriteString(conn, text)
		}
		if err == nil && answered {
			_, err = io.ReadFull(conn, make([]byte, 100))
		}
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, conn)
	}
	return all
}

// descriptors counts the program's open files.
func (l *load) descriptors() int {
	l.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", l.unit.cmd.Process.Pid))
	if err != nil {
		l.t.Fatal(err)
	}
	return len(all)
}

// peak is the most memory that the program had: proc_pid_status(5).
func (l *load) peak() int64 {
	l.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.unit.cmd.Process.Pid))
	if err != nil {
		l.t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscanf(line, "%d kB", &kib); err != nil {
		l.t.Fatal(err)
	}
	return kib << 10
}
