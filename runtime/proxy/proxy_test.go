package proxy

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

// clock is a clock that stands still unless it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// proxy is a proxy before a fake page.
type proxy struct {
	t      *testing.T
	page   *proxytest.Page
	clock  *clock
	server *Server
	http   *httptest.Server
	cache  string
}

func newProxy(t *testing.T, p *proxytest.Page, change func(*RepositoryConfig)) *proxy {
	t.Helper()
	x := &proxy{t: t, page: p, clock: newClock(), cache: t.TempDir()}
	x.start(change)
	return x
}

func (x *proxy) start(change func(*RepositoryConfig)) {
	x.t.Helper()
	rc := RepositoryConfig{GitHub: "example/mangos", API: x.page.URL}
	if change != nil {
		change(&rc)
	}
	if err := rc.check(); err != nil {
		x.t.Fatal(err)
	}
	c := &Config{Repositories: map[string]RepositoryConfig{"mangos": rc}, Fresh: defaultFresh, Stale: defaultStale}
	s, err := New(c, x.cache, x.clock.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		x.t.Fatal(err)
	}
	x.server = s
	x.http = httptest.NewUnstartedServer(nil)
	x.http.Config = s.HTTP()
	x.http.Start()
	x.t.Cleanup(x.http.Close)
}

// ask sends a request with headers in pairs.
func (x *proxy) ask(method, path string, headers ...string) (*http.Response, string) {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), method, x.http.URL+path, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer rsp.Body.Close()
	body, err := io.ReadAll(rsp.Body)
	if err != nil {
		x.t.Fatalf("%s %s: %v", method, path, err)
	}
	return rsp, string(body)
}

func (x *proxy) get(path string, want int, headers ...string) string {
	x.t.Helper()
	rsp, body := x.ask(http.MethodGet, path, headers...)
	if rsp.StatusCode != want {
		x.t.Errorf("%s: %s, want %d: %s", path, rsp.Status, want, body)
	}
	return body
}

// hurry makes the proxy give up on a repository soon, in this test.
func hurry(t *testing.T) {
	usual := patience
	t.Cleanup(func() { patience = usual })
	patience = fetch.Patience{Window: 50 * time.Millisecond, Least: 16 << 10, Total: 100 * time.Millisecond, Pause: time.Millisecond}
}

func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "release.pub")
	if err := os.WriteFile(path, installtest.ReleaseKey().Public, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func withKey(t *testing.T) func(*RepositoryConfig) {
	path := keyFile(t)
	return func(c *RepositoryConfig) { c.KeyFile = path }
}

var big = strings.Repeat("0123456789", 100000)
