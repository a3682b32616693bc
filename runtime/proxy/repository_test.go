package proxy

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

// New releases become visible, and asking for nothing new costs little.
func TestFreshness(t *testing.T) {
	p := proxytest.NewPage(t)
	one := proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	two := proxytest.Publish(t, "v2", map[string]string{"mangos_2.efi": "two"})
	p.Releases = []proxytest.Release{one}
	x := newProxy(t, p, withKey(t))
	sums := func(want proxytest.Release) {
		t.Helper()
		if got := x.get("/mangos/SHA256SUMS", 200); got != string(want.Files["SHA256SUMS"]) {
			t.Errorf("%q", got)
		}
	}
	sums(one)
	calls := p.Calls
	sums(one)
	if p.Calls != calls {
		t.Error("asked again while the answer was fresh")
	}
	p.Change(func() { p.Releases = []proxytest.Release{two, one} })
	x.clock.move(9 * time.Minute)
	sums(one)
	x.clock.move(2 * time.Minute)
	sums(two)
	calls = p.Calls
	x.clock.move(11 * time.Minute)
	sums(two)
	if p.Calls != calls+1 {
		t.Errorf("%d calls to learn that nothing changed", p.Calls-calls)
	}
}

// An outage gives the last good answer, marked, for its time; a restart remembers it.
func TestOutage(t *testing.T) {
	hurry(t)
	p := proxytest.NewPage(t)
	one := proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	p.Releases = []proxytest.Release{one}
	change := withKey(t)
	x := newProxy(t, p, change)
	x.get("/mangos/SHA256SUMS", 200)
	p.Change(func() { p.Down = true })
	x.clock.move(time.Hour)
	for range 2 {
		rsp, body := x.ask("GET", "/mangos/SHA256SUMS")
		if rsp.StatusCode != 200 || body != string(one.Files["SHA256SUMS"]) || rsp.Header.Get("Warning") == "" || rsp.Header.Get("Age") != "3600" {
			t.Errorf("%s, %v", rsp.Status, rsp.Header)
		}
		// A file is not to be had: that answer is not out of date.
		rsp, body = x.ask("GET", "/mangos/mangos_1.efi", "Range", "bytes=1-")
		if rsp.StatusCode != 502 || rsp.Header.Get("Warning") != "" || rsp.Header.Get("Age") != "" || rsp.Header.Get("Content-Range") != "" {
			t.Errorf("a file: %s, %q, %v", rsp.Status, body, rsp.Header)
		}
		x.start(change) // a new process, the same cache
	}
	x.clock.move(8 * 24 * time.Hour)
	rsp, body := x.ask("GET", "/mangos/SHA256SUMS")
	if rsp.StatusCode != 502 || rsp.Header.Get("Retry-After") == "" || rsp.Header.Get("Warning") != "" {
		t.Errorf("after its time: %s, %q, %v", rsp.Status, body, rsp.Header)
	}
	p.Change(func() { p.Down = false })
	x.get("/mangos/SHA256SUMS", 502) // not asked again at once
	x.clock.move(time.Minute)
	x.get("/mangos/SHA256SUMS", 200)
}

func TestDamagedCache(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "one"})}
	change := withKey(t)
	x := newProxy(t, p, change)
	x.get("/mangos/SHA256SUMS", 200)
	p.Change(func() { p.Down = true })
	path := filepath.Join(x.cache, "mangos.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "another"})
	exchanged := bytes.Replace(good, in(p.Releases[0].Files["SHA256SUMS"]), in(other.Files["SHA256SUMS"]), 1)
	for _, raw := range [][]byte{exchanged, nil, []byte("{"), bytes.Replace(good, []byte(`"sums":"`), []byte(`"sums":"AAAA`), 1)} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		x.start(change)
		x.get("/mangos/SHA256SUMS", 502)
	}
}

// in is how bytes stand in JSON.
func in(raw []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(raw)) }

func TestRateLimit(t *testing.T) {
	p := proxytest.NewPage(t)
	one := proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "one"})
	p.Releases = []proxytest.Release{one}
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
		p.Change(func() { p.Limit = c.limit })
		rsp, _ := x.ask("GET", "/mangos/SHA256SUMS")
		if rsp.StatusCode != 503 || rsp.Header.Get("Retry-After") != fmt.Sprint(int(c.wait.Seconds())) {
			t.Errorf("%s: %s, Retry-After %q", c.name, rsp.Status, rsp.Header.Get("Retry-After"))
		}
		calls := p.Calls
		p.Change(func() { p.Limit = nil })
		x.clock.move(c.wait - time.Second)
		x.get("/mangos/SHA256SUMS", 503)
		if p.Calls != calls {
			t.Errorf("%s: asked all the same", c.name)
		}
		x.clock.move(2 * time.Second)
		x.get("/mangos/SHA256SUMS", 200)
	}
}

// The limit may be reached at a file, too.
func TestRateLimitOfFiles(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "one"})}
	x := newProxy(t, p, nil)
	x.get("/mangos/SHA256SUMS", 200)
	calls := p.Calls
	p.Change(func() {
		p.Limit = func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	rsp, body := x.ask("GET", "/mangos/mangos_1.efi")
	if rsp.StatusCode != 503 || rsp.Header.Get("Retry-After") != "300" || p.Calls != calls+1 {
		t.Errorf("%s, %v, %q, %d calls", rsp.Status, rsp.Header, body, p.Calls-calls)
	}
}

// A day, minute by minute: releases come, the page is down, the limit is reached.
// Each answer is right for its time, the page is not asked too often, and what is
// remembered does not grow.
func TestADay(t *testing.T) {
	p := proxytest.NewPage(t)
	change := withKey(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "1"})}
	x := newProxy(t, p, change)
	shown := ""
	var begin usage
	for minute := range 24 * 60 {
		if minute == 60 {
			begin = measure()
		}
		hour := minute / 60
		p.Change(func() {
			p.Down = hour == 5 || hour == 6
			p.Limit = nil
			if hour == 10 {
				p.Limit = func(w http.ResponseWriter) {
					w.Header().Set("Retry-After", "1800")
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}
			if minute%240 == 239 {
				n := len(p.Releases) + 1
				p.Releases = append([]proxytest.Release{proxytest.Publish(t, fmt.Sprintf("v%d", n), map[string]string{fmt.Sprintf("mangos_%d.efi", n): "x"})}, p.Releases...)
			}
		})
		rsp, body := x.ask("GET", "/mangos/SHA256SUMS")
		index := slices.IndexFunc(p.Releases, func(r proxytest.Release) bool { return string(r.Files["SHA256SUMS"]) == body })
		if rsp.StatusCode != 200 || index < 0 {
			t.Fatalf("minute %d: %s", minute, rsp.Status)
		}
		if shown != "" && body != shown && index != 0 {
			t.Fatalf("minute %d: went to release %s", minute, p.Releases[index].Tag)
		}
		shown = body
		x.clock.move(time.Minute)
	}
	if p.Releases[0].Tag != "v7" || shown != string(p.Releases[1].Files["SHA256SUMS"]) && shown != string(p.Releases[0].Files["SHA256SUMS"]) {
		t.Errorf("at the end %q is shown", shown)
	}
	if p.Calls > 600 {
		t.Errorf("%d calls in a day", p.Calls)
	}
	end := measure()
	if end.goroutines > begin.goroutines+10 || end.heap > begin.heap+1<<20 {
		t.Errorf("after an hour %+v, at the end %+v", begin, end)
	}
	t.Logf("%d calls in a day, %d KiB more memory", p.Calls, (end.heap-begin.heap)>>10)
}

// usage is what this process needs, with what it has forgotten cleared away.
type usage struct {
	goroutines int
	heap       int64
}

func measure() usage {
	http.DefaultClient.CloseIdleConnections()
	runtime.GC()
	runtime.GC() // the first one may have left what has a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), int64(m.HeapAlloc)}
}
