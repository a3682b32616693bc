package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/install/installtest"
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
	t     *testing.T
	page  *page
	clock *clock
	http  *httptest.Server
	cache string
}

func newProxy(t *testing.T, p *page, change func(*RepositoryConfig)) *proxy {
	t.Helper()
	x := &proxy{t: t, page: p, clock: newClock(), cache: t.TempDir()}
	x.start(change)
	return x
}

func (x *proxy) start(change func(*RepositoryConfig)) {
	x.t.Helper()
	rc := RepositoryConfig{GitHub: "example/mangos", API: x.page.api.URL}
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

func TestNewestRelease(t *testing.T) {
	p := newPage(t)
	newest := publish(t, "v1.10", map[string]string{"mangos_1.10.efi": big})
	unfinished := publish(t, "v1.12", map[string]string{"mangos_1.12.efi": "x"})
	delete(unfinished.files, "SHA256SUMS.gpg") // its upload is not done
	draft := publish(t, "v9", map[string]string{"mangos_9.efi": "x"})
	draft.draft = true
	pre := publish(t, "v1.11", map[string]string{"mangos_1.11.efi": "x"})
	pre.prerelease = true
	p.releases = []published{draft, unfinished, pre, publish(t, "v1.9", map[string]string{"mangos_1.9.efi": "old"}), newest}
	x := newProxy(t, p, withKey(t))
	if got := x.get("/mangos/SHA256SUMS", 200); got != string(newest.files["SHA256SUMS"]) {
		t.Errorf("manifest %q", got)
	}
	if got := x.get("/mangos/SHA256SUMS.gpg", 200); got != string(newest.files["SHA256SUMS.gpg"]) {
		t.Errorf("signature %q", got)
	}
	if got := x.get("/mangos/mangos_1.10.efi", 200); got != big {
		t.Errorf("%d bytes", len(got))
	}
	x.get("/mangos/mangos_1.9.efi", 404) // not listed in the newest manifest
	x.get("/mangos/mangos_9.efi", 404)
	p.change(func() {
		if p.calls > 20 {
			t.Errorf("%d calls", p.calls)
		}
		p.seen = nil
	})
	withPre := newProxy(t, p, func(c *RepositoryConfig) { c.Prereleases = true })
	if got := withPre.get("/mangos/SHA256SUMS", 200); got != string(pre.files["SHA256SUMS"]) {
		t.Errorf("with pre-releases: %q", got)
	}
}

// A manifest may list the files of older releases.
func TestCumulativeManifest(t *testing.T) {
	p := newPage(t)
	old := publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	line := strings.TrimSpace(string(old.files["SHA256SUMS"]))
	p.releases = []published{publish(t, "v2", map[string]string{"mangos_2.efi": "two"}, line), old}
	x := newProxy(t, p, withKey(t))
	if got := x.get("/mangos/mangos_1.efi", 200); got != "one" {
		t.Errorf("%q", got)
	}
}

func TestRequests(t *testing.T) {
	p := newPage(t)
	p.releases = []published{publish(t, "v1", map[string]string{"mangos_1.efi": big})}
	x := newProxy(t, p, nil)
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
		{"GET", "/mangos/mangos_1.efi", []string{"Range", "bytes=1000000-"}, 416, "*", [2]string{"Content-Range", "bytes */1000000"}},
		{"POST", "/mangos/SHA256SUMS", nil, 405, "only GET and HEAD\n", [2]string{"Allow", "GET, HEAD"}},
		{"GET", "/other/SHA256SUMS", nil, 404, "*", [2]string{}},
		{"GET", "/mangos", nil, 404, "*", [2]string{}},
		{"GET", "/mangos/", nil, 404, "*", [2]string{}},
		{"GET", "/mangos/a/b", nil, 404, "*", [2]string{}},
		{"GET", "/mangos/..%2f..%2fetc%2fpasswd", nil, 404, "*", [2]string{}},
		{"GET", "/mangos/SHA256SUMS", []string{"Host", "evil.example"}, 421, "ask for localhost\n", [2]string{}},
		{"GET", "/mangos/SHA256SUMS", []string{"Host", "[::1]:1"}, 200, "*", [2]string{}},
		{"GET", "/healthz", nil, 200, "ok\n", [2]string{}},
	} {
		rsp, body := x.ask(c.method, c.path, c.headers...)
		if rsp.StatusCode != c.status || c.body != "*" && body != c.body || c.header[0] != "" && rsp.Header.Get(c.header[0]) != c.header[1] {
			t.Errorf("%s %s %v: %s, %.60q, %v", c.method, c.path, c.headers, rsp.Status, body, rsp.Header)
		}
	}
	rsp, _ := x.ask("GET", "/mangos/mangos_1.efi")
	if again, body := x.ask("GET", "/mangos/mangos_1.efi", "If-None-Match", rsp.Header.Get("ETag")); again.StatusCode != 304 || body != "" {
		t.Errorf("the same once more: %s", again.Status)
	}
	if got := x.get("/metrics", 200); !strings.Contains(got, `mangos_proxy_requests_total{status="4xx"} 8`) || !strings.Contains(got, `refreshes_total{result="good"} 1`) {
		t.Errorf("%s", got)
	}
}

// The token goes to the API, and to no other host.
func TestToken(t *testing.T) {
	p := newPage(t)
	p.token = "secret-token"
	p.releases = []published{publish(t, "v1", map[string]string{"mangos_1.efi": "one"})}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := newProxy(t, p, func(c *RepositoryConfig) { c.TokenFile = token })
	if got := x.get("/mangos/mangos_1.efi", 200); got != "one" {
		t.Errorf("%q", got)
	}
	p.change(func() {
		if len(p.seen) == 0 || slices.ContainsFunc(p.seen, func(s string) bool { return s != "" }) {
			t.Errorf("the storage saw %q", p.seen)
		}
	})
	without := newProxy(t, p, nil)
	without.get("/mangos/SHA256SUMS", 502)
}

// New releases become visible, and asking for nothing new costs little.
func TestFreshness(t *testing.T) {
	p := newPage(t)
	one := publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	two := publish(t, "v2", map[string]string{"mangos_2.efi": "two"})
	p.releases = []published{one}
	x := newProxy(t, p, withKey(t))
	sums := func(want published) {
		t.Helper()
		if got := x.get("/mangos/SHA256SUMS", 200); got != string(want.files["SHA256SUMS"]) {
			t.Errorf("%q", got)
		}
	}
	sums(one)
	calls := p.calls
	sums(one)
	if p.calls != calls {
		t.Error("asked again while the answer was fresh")
	}
	p.change(func() { p.releases = []published{two, one} })
	x.clock.move(9 * time.Minute)
	sums(one)
	x.clock.move(2 * time.Minute)
	sums(two)
	calls = p.calls
	x.clock.move(11 * time.Minute)
	sums(two)
	if p.calls != calls+1 {
		t.Errorf("%d calls to learn that nothing changed", p.calls-calls)
	}
}

// An outage gives the last good answer, marked, for its time; a restart remembers it.
func TestOutage(t *testing.T) {
	p := newPage(t)
	one := publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	p.releases = []published{one}
	change := withKey(t)
	x := newProxy(t, p, change)
	x.get("/mangos/SHA256SUMS", 200)
	p.change(func() { p.down = true })
	x.clock.move(time.Hour)
	for range 2 {
		rsp, body := x.ask("GET", "/mangos/SHA256SUMS")
		if rsp.StatusCode != 200 || body != string(one.files["SHA256SUMS"]) || rsp.Header.Get("Warning") == "" || rsp.Header.Get("Age") != "3600" {
			t.Errorf("%s, %v", rsp.Status, rsp.Header)
		}
		x.start(change) // a new process, the same cache
	}
	x.clock.move(8 * 24 * time.Hour)
	rsp, body := x.ask("GET", "/mangos/SHA256SUMS")
	if rsp.StatusCode != 502 || rsp.Header.Get("Retry-After") == "" || rsp.Header.Get("Warning") != "" {
		t.Errorf("after its time: %s, %q, %v", rsp.Status, body, rsp.Header)
	}
	p.change(func() { p.down = false })
	x.get("/mangos/SHA256SUMS", 502) // not asked again at once
	x.clock.move(time.Minute)
	x.get("/mangos/SHA256SUMS", 200)
}

func TestDamagedCache(t *testing.T) {
	p := newPage(t)
	p.releases = []published{publish(t, "v1", map[string]string{"mangos_1.efi": "one"})}
	change := withKey(t)
	x := newProxy(t, p, change)
	x.get("/mangos/SHA256SUMS", 200)
	p.change(func() { p.down = true })
	path := filepath.Join(x.cache, "mangos.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{nil, []byte("{"), bytes.Replace(good, []byte(`"sums":"`), []byte(`"sums":"AAAA`), 1)} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		x.start(change)
		x.get("/mangos/SHA256SUMS", 502)
	}
}

func TestRateLimit(t *testing.T) {
	p := newPage(t)
	one := publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	p.releases = []published{one}
	x := newProxy(t, p, nil)
	for _, c := range []struct {
		name  string
		limit func(http.ResponseWriter)
		wait  time.Duration
	}{
		{"reset", func(w http.ResponseWriter) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", fmt.Sprint(x.clock.Now().Add(20*time.Minute).Unix()))
			w.WriteHeader(http.StatusForbidden)
		}, 20 * time.Minute},
		{"retry after", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 5 * time.Minute},
		{"for years", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "2000000000")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 2 * time.Hour},
	} {
		x = newProxy(t, p, nil)
		p.change(func() { p.limit = c.limit })
		rsp, _ := x.ask("GET", "/mangos/SHA256SUMS")
		if rsp.StatusCode != 503 || rsp.Header.Get("Retry-After") != fmt.Sprint(int(c.wait.Seconds())) {
			t.Errorf("%s: %s, Retry-After %q", c.name, rsp.Status, rsp.Header.Get("Retry-After"))
		}
		calls := p.calls
		p.change(func() { p.limit = nil })
		x.clock.move(c.wait - time.Second)
		x.get("/mangos/SHA256SUMS", 503)
		if p.calls != calls {
			t.Errorf("%s: asked all the same", c.name)
		}
		x.clock.move(2 * time.Second)
		x.get("/mangos/SHA256SUMS", 200)
	}
}

func TestRefusals(t *testing.T) {
	empty := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 *"
	for name, c := range map[string]struct {
		release func() published
		change  func(*RepositoryConfig)
		want    int
	}{
		"signed by another": {func() published {
			r := publish(t, "v1", map[string]string{"mangos_1.efi": "x"})
			r.files["SHA256SUMS"] = append(r.files["SHA256SUMS"], r.files["SHA256SUMS"]...)
			return r
		}, nil, 403},
		"too old":             {func() published { return publish(t, "v1.1", map[string]string{"x": "x"}) }, func(c *RepositoryConfig) { c.MinimumVersion = "1.2" }, 403},
		"new enough":          {func() published { return publish(t, "v1.10", map[string]string{"x": "x"}) }, func(c *RepositoryConfig) { c.MinimumVersion = "1.2" }, 200},
		"expired":             {func() published { return publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-2025-12-30") }, nil, 403},
		"good until today":    {func() published { return publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-2026-01-01") }, nil, 200},
		"a date that is none": {func() published { return publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-soon") }, nil, 403},
	} {
		p := newPage(t)
		p.releases = []published{c.release()}
		key := withKey(t)
		x := newProxy(t, p, func(rc *RepositoryConfig) {
			key(rc)
			if c.change != nil {
				c.change(rc)
			}
		})
		if got := x.get("/mangos/SHA256SUMS", c.want); c.want == 403 && !strings.Contains(got, "must not be used") {
			t.Errorf("%s: %q", name, got)
		}
		x.get("/mangos/SHA256SUMS.gpg", c.want)
	}
	// Expired while it was kept; and an outage does not make it good again.
	p := newPage(t)
	p.releases = []published{publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-2026-01-01")}
	x := newProxy(t, p, withKey(t))
	x.get("/mangos/x", 200)
	p.change(func() { p.down = true })
	x.clock.move(30 * time.Hour)
	x.get("/mangos/x", 403)
}

// A bad release after a good one: nothing is passed on, the good one neither: what
// the page says now is not to be used.
func TestBadAfterGood(t *testing.T) {
	p := newPage(t)
	p.releases = []published{publish(t, "v1", map[string]string{"mangos_1.efi": "x"})}
	x := newProxy(t, p, withKey(t))
	x.get("/mangos/SHA256SUMS", 200)
	bad := publish(t, "v2", map[string]string{"mangos_2.efi": "x"})
	bad.files["SHA256SUMS.gpg"] = []byte("no signature")
	p.change(func() { p.releases = append([]published{bad}, p.releases...) })
	x.clock.move(time.Hour)
	x.get("/mangos/SHA256SUMS", 403)
}

func TestHostileAPI(t *testing.T) {
	for name, answer := range map[string]string{
		"no JSON": "<html>", "an object": `{"message": "no"}`, "none": `[]`, "two readings": `[{"tag_name": "v1", "tag_name": "v2"}]`,
		"not complete":   `[{"tag_name": "v1", "assets": [{"name": "SHA256SUMS", "state": "starter", "size": 1, "browser_download_url": "https://x/"}]}]`,
		"another scheme": `[{"tag_name": "v1", "assets": [{"name": "SHA256SUMS", "state": "uploaded", "size": 1, "browser_download_url": "file:///etc/passwd"}, {"name": "SHA256SUMS.gpg", "state": "uploaded", "size": 1, "browser_download_url": "file:///etc/passwd"}]}]`,
		"endless":        strings.Repeat(" ", maxPage+2),
	} {
		p := newPage(t)
		p.limit = func(w http.ResponseWriter) { _, _ = io.WriteString(w, answer) }
		x := newProxy(t, p, nil)
		if got := x.get("/mangos/SHA256SUMS", 502); got == "" {
			t.Errorf("%s: no sentence", name)
		}
	}
}

// The storage hangs up in the middle: the client notices nothing.
func TestStorageHangsUp(t *testing.T) {
	p := newPage(t)
	p.releases = []published{publish(t, "v1", map[string]string{"mangos_1.efi": big})}
	x := newProxy(t, p, nil)
	x.get("/mangos/SHA256SUMS", 200)
	p.change(func() { p.cut = 500000 })
	if got := x.get("/mangos/mangos_1.efi", 200); got != big {
		t.Errorf("%d bytes", len(got))
	}
	// A file that is gone is a status.
	p.change(func() { delete(p.releases[0].files, "mangos_1.efi") })
	if got := x.get("/mangos/mangos_1.efi", 502); !strings.Contains(got, "404") {
		t.Errorf("%q", got)
	}
}

func TestFolderBackend(t *testing.T) {
	b := installtest.Build(t, "1.0", nil)
	files := httptest.NewServer(http.FileServer(http.Dir(b.Folder(t))))
	defer files.Close()
	for _, place := range []string{b.Folder(t), files.URL} {
		x := newProxy(t, newPage(t), func(c *RepositoryConfig) {
			*c = RepositoryConfig{Folder: place, API: publicAPI, KeyFile: keyFile(t), MinimumVersion: "1.0"}
		})
		if got := x.get("/mangos/SHA256SUMS", 200); got != string(b.Files["SHA256SUMS"]) {
			t.Errorf("%s: %q", place, got)
		}
		if got := x.get("/mangos/"+b.Disk, 200); got != string(b.Files[b.Disk]) {
			t.Errorf("%s: %d bytes", place, len(got))
		}
		if got := x.get("/mangos/"+b.Disk, 206, "Range", "bytes=10-19"); got != string(b.Files[b.Disk][10:20]) {
			t.Errorf("%s: %q", place, got)
		}
	}
}

// Many clients at once share one look at the repository; slow ones hold up nobody;
// and all of it is gone afterwards.
func TestManyClients(t *testing.T) {
	p := newPage(t)
	p.releases = []published{publish(t, "v1", map[string]string{"mangos_1.efi": big})}
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
			if body, err := io.ReadAll(rsp.Body); err != nil || rsp.StatusCode != 200 || !bytes.Equal(body, p.releases[0].files["SHA256SUMS"]) {
				t.Errorf("%s, %v", rsp.Status, err)
			}
		})
	}
	all.Wait()
	// One list, and two redirects for manifest and signature.
	if p.calls != 3 {
		t.Errorf("%d calls to the repository", p.calls)
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
	p := newPage(t)
	p.releases = []published{publish(t, "v1", map[string]string{"x": "x"})}
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(arrived); <-release })
		p.serveAPI(w, r)
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
	if got := <-other; got != string(p.releases[0].files["SHA256SUMS"]) {
		t.Errorf("the second client: %q", got)
	}
}

// A day, minute by minute: releases come, the page is down, the limit is reached.
// Each answer is right for its time, and the page is not asked too often.
func TestADay(t *testing.T) {
	p := newPage(t)
	change := withKey(t)
	p.releases = []published{publish(t, "v1", map[string]string{"mangos_1.efi": "1"})}
	x := newProxy(t, p, change)
	shown := ""
	for minute := range 24 * 60 {
		hour := minute / 60
		p.change(func() {
			p.down = hour == 5 || hour == 6
			p.limit = nil
			if hour == 10 {
				p.limit = func(w http.ResponseWriter) {
					w.Header().Set("Retry-After", "1800")
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}
			if minute%240 == 239 {
				n := len(p.releases) + 1
				p.releases = append([]published{publish(t, fmt.Sprintf("v%d", n), map[string]string{fmt.Sprintf("mangos_%d.efi", n): "x"})}, p.releases...)
			}
		})
		rsp, body := x.ask("GET", "/mangos/SHA256SUMS")
		index := slices.IndexFunc(p.releases, func(r published) bool { return string(r.files["SHA256SUMS"]) == body })
		if rsp.StatusCode != 200 || index < 0 {
			t.Fatalf("minute %d: %s", minute, rsp.Status)
		}
		if shown != "" && body != shown && index != 0 {
			t.Fatalf("minute %d: went to release %s", minute, p.releases[index].tag)
		}
		shown = body
		x.clock.move(time.Minute)
	}
	if p.releases[0].tag != "v7" || shown != string(p.releases[1].files["SHA256SUMS"]) && shown != string(p.releases[0].files["SHA256SUMS"]) {
		t.Errorf("at the end %q is shown", shown)
	}
	if p.calls > 600 {
		t.Errorf("%d calls in a day", p.calls)
	}
	t.Logf("%d calls in a day", p.calls)
}
