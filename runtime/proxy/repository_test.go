package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

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
