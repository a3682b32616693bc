package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

func TestRequests(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": big})}
	x := newProxy(t, p, nil)
	const unknown = "want /REPOSITORY/FILE of a repository in the configuration\n"
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
		body         string
		header       [2]string
	}{
		{"HEAD", "/mangos/mangos_1.efi", nil, 200, "", [2]string{"Content-Length", "1000000"}},
		{"HEAD", "/mangos/SHA256SUMS", nil, 200, "", [2]string{"Accept-Ranges", "bytes"}},
		{"GET", "/mangos/mangos_1.efi", []string{"Range", "bytes=999990-"}, 206, big[999990:], [2]string{"Content-Range", "bytes 999990-999999/1000000"}},
		{"GET", "/mangos/mangos_1.efi", []string{"Range", "bytes=-5"}, 206, "56789", [2]string{"Content-Length", "5"}},
		{"GET", "/mangos/mangos_1.efi", []string{"Range", "bytes=3-7"}, 206, "34567", [2]string{"Content-Length", "5"}},
		{"GET", "/mangos/mangos_1.efi", []string{"Range", "bytes=3-7,9-11"}, 200, big, [2]string{"Content-Length", "1000000"}},
		{"GET", "/mangos/mangos_1.efi", []string{"Range", "bytes=1000000-"}, 416, "*", [2]string{"Content-Range", "bytes */1000000"}},
		{"POST", "/mangos/SHA256SUMS", nil, 405, "only GET and HEAD\n", [2]string{"Allow", "GET, HEAD"}},
		{"GET", "/other/SHA256SUMS", nil, 404, unknown, [2]string{}},
		{"GET", "/mangos", nil, 404, unknown, [2]string{}},
		{"GET", "/mangos/", nil, 404, unknown, [2]string{}},
		{"GET", "/mangos/a/b", nil, 404, unknown, [2]string{}},
		{"GET", "/mangos/..%2f..%2fetc%2fpasswd", nil, 404, unknown, [2]string{}},
		{"GET", "/mangos/SHA256SUMS", []string{"Host", "evil.example"}, 421, "ask for localhost\n", [2]string{}},
		{"GET", "/mangos/SHA256SUMS", []string{"Host", "[::1]:1"}, 200, "*", [2]string{}},
		{"GET", "/healthz", nil, 200, "ok\n", [2]string{}},
	} {
		rsp, body := x.ask(c.method, c.path, c.headers...)
		if rsp.StatusCode != c.status || c.body != "*" && body != c.body || c.header[0] != "" && rsp.Header.Get(c.header[0]) != c.header[1] {
			t.Errorf("%s %s %v: %s, %.60q, %v", c.method, c.path, c.headers, rsp.Status, body, rsp.Header)
		}
	}
	for _, path := range []string{"/mangos/mangos_1.efi", "/mangos/SHA256SUMS", "/mangos/SHA256SUMS.gpg"} {
		rsp, _ := x.ask("GET", path)
		if again, body := x.ask("GET", path, "If-None-Match", rsp.Header.Get("ETag")); again.StatusCode != 304 || body != "" {
			t.Errorf("%s once more: %s", path, again.Status)
		}
	}
	if got := x.get("/metrics", 200); !strings.Contains(got, `mangos_proxy_requests_total{status="4xx"} 8`) || !strings.Contains(got, `refreshes_total{result="good"} 1`) {
		t.Errorf("%s", got)
	}
}

// Many clients at once share one look at the repository; slow ones hold up nobody;
// and all of it is gone afterwards.
func TestManyClients(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": big})}
	x := newProxy(t, p, withKey(t))
	before := runtime.NumGoroutine()
	var idle []net.Conn
	for range 50 { // they connect, and send half a request
		c, err := net.Dial("tcp", x.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /mangos/mangos_1.efi HTTP/1.1\r\nHost: localhost\r\n")
		idle = append(idle, c)
	}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 200}}
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			rsp, err := client.Get(x.http.URL + "/mangos/SHA256SUMS")
			if err != nil {
				t.Error(err)
				return
			}
			defer rsp.Body.Close()
			if body, err := io.ReadAll(rsp.Body); err != nil || rsp.StatusCode != 200 || !bytes.Equal(body, p.Releases[0].Files["SHA256SUMS"]) {
				t.Errorf("%s, %v", rsp.Status, err)
			}
		})
	}
	all.Wait()
	// One list, and two redirects for manifest and signature.
	if p.Calls != 3 {
		t.Errorf("%d calls to the repository", p.Calls)
	}
	for _, c := range idle {
		_ = c.Close()
	}
	client.CloseIdleConnections()
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > before+20 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before+20 {
		t.Errorf("%d goroutines before, %d after", before, n)
	}
}

// A client that goes away while the repository is asked does not take the others' answer.
func TestClientGoesAway(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"x": "x"})}
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(arrived); <-release })
		p.ServeHTTP(w, r)
	}))
	defer slow.Close()
	x := newProxy(t, p, func(c *RepositoryConfig) { c.API = slow.URL })
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, x.http.URL+"/mangos/SHA256SUMS", nil)
		_, err := http.DefaultClient.Do(req)
		gone <- err
	}()
	<-arrived
	other := make(chan string, 1)
	go func() { other <- x.get("/mangos/SHA256SUMS", 200) }()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the first client: %v", err)
	}
	close(release)
	if got := <-other; got != string(p.Releases[0].Files["SHA256SUMS"]) {
		t.Errorf("the second client: %q", got)
	}
}

// More requests than are served at once are told to come again; how the proxy is can be
// asked all the same.
func TestTooManyRequests(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"x": "x"})}
	x := newProxy(t, p, nil)
	for range maxRequests {
		x.server.slots <- struct{}{}
	}
	rsp, _ := x.ask("GET", "/mangos/SHA256SUMS")
	if rsp.StatusCode != 503 || rsp.Header.Get("Retry-After") != "1" {
		t.Errorf("%s, %v", rsp.Status, rsp.Header)
	}
	x.get("/healthz", 200)
	if got := x.get("/metrics", 200); !strings.Contains(got, fmt.Sprintf("mangos_proxy_requests_in_flight %d\n", maxRequests)) {
		t.Errorf("%s", got)
	}
	<-x.server.slots
	x.get("/mangos/SHA256SUMS", 200)
	x.get("/mangos/x", 200) // the slot is free again
}

// A client that takes nothing is let go.
func TestSlowClient(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.raw": strings.Repeat(big, 20)})}
	x := newProxy(t, p, nil)
	x.server.writeTime = 50 * time.Millisecond
	conn, err := net.Dial("tcp", x.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /mangos/mangos_1.raw HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for len(x.server.slots) > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := len(x.server.slots); n > 0 {
		t.Errorf("%d requests are still in flight", n)
	}
}

// A page that stops in the middle of something is a status before the answer has begun,
// and afterwards an answer that is seen to be cut off.
func TestStuckPage(t *testing.T) {
	hurry(t)
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": big})}
	hold := make(chan struct{})
	defer close(hold)
	p.Hold = hold
	x := newProxy(t, p, nil)
	if rsp, body := x.ask("GET", "/mangos/SHA256SUMS"); rsp.StatusCode != 504 || rsp.Header.Get("Retry-After") != "30" {
		t.Errorf("%s, %v, %q", rsp.Status, rsp.Header, body)
	}
	p.Change(func() { p.Hold = nil })
	x.clock.move(time.Minute)
	x.get("/mangos/SHA256SUMS", 200)
	p.Change(func() { p.Hold = hold })
	rsp, err := http.Get(x.http.URL + "/mangos/mangos_1.efi")
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	if body, err := io.ReadAll(rsp.Body); err == nil || len(body) >= len(big) || rsp.StatusCode != 200 {
		t.Errorf("%s, %d bytes, and no error", rsp.Status, len(body))
	}
}
