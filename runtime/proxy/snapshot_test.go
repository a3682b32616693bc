package proxy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/proxy/proxytest"
)

func TestRefusals(t *testing.T) {
	empty := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 *"
	for name, c := range map[string]struct {
		release func() proxytest.Release
		change  func(*RepositoryConfig)
		want    int
	}{
		"signed by another": {func() proxytest.Release {
			r := proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "x"})
			r.Files["SHA256SUMS"] = append(r.Files["SHA256SUMS"], r.Files["SHA256SUMS"]...)
			return r
		}, nil, 403},
		"too old":    {func() proxytest.Release { return proxytest.Publish(t, "v1.1", map[string]string{"x": "x"}) }, func(c *RepositoryConfig) { c.MinimumVersion = "1.2" }, 403},
		"new enough": {func() proxytest.Release { return proxytest.Publish(t, "v1.10", map[string]string{"x": "x"}) }, func(c *RepositoryConfig) { c.MinimumVersion = "1.2" }, 200},
		"expired": {func() proxytest.Release {
			return proxytest.Publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-2025-12-30")
		}, nil, 403},
		"good until today": {func() proxytest.Release {
			return proxytest.Publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-2026-01-01")
		}, nil, 200},
		"a date that is none": {func() proxytest.Release {
			return proxytest.Publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-soon")
		}, nil, 403},
	} {
		p := proxytest.NewPage(t)
		p.Releases = []proxytest.Release{c.release()}
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
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"x": "x"}, empty+"BEST-BEFORE-2026-01-01")}
	x := newProxy(t, p, withKey(t))
	x.get("/mangos/x", 200)
	p.Change(func() { p.Down = true })
	x.clock.move(30 * time.Hour)
	x.get("/mangos/x", 403)
}

// A bad release after a good one: nothing is passed on, the good one neither: what
// the page says now is not to be used.
func TestBadAfterGood(t *testing.T) {
	p := proxytest.NewPage(t)
	p.Releases = []proxytest.Release{proxytest.Publish(t, "v1", map[string]string{"mangos_1.efi": "x"})}
	x := newProxy(t, p, withKey(t))
	x.get("/mangos/SHA256SUMS", 200)
	bad := proxytest.Publish(t, "v2", map[string]string{"mangos_2.efi": "x"})
	bad.Files["SHA256SUMS.gpg"] = []byte("no signature")
	p.Change(func() { p.Releases = append([]proxytest.Release{bad}, p.Releases...) })
	x.clock.move(time.Hour)
	x.get("/mangos/SHA256SUMS", 403)
}

// Whatever lies in the cache, what the release key did not sign is not passed on.
func FuzzSnapshot(f *testing.F) {
	path := filepath.Join(f.TempDir(), "cache")
	kept := snapshot{Tag: "v1", Sums: []byte(strings.Repeat("0", 64) + " *a\n"), Signature: []byte("x"), Assets: map[string]asset{"a": {URL: "https://x/a"}}}
	if err := kept.save(path); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"tag": 1}`))
	f.Add([]byte(`{"tag": "v1", "sums": "eA==", "signature": "eA=="}`))
	key := installtest.ReleaseKey().Public
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := load(path)
		if s == nil {
			return
		}
		if err := s.check(rules{minimum: "1"}, time.Now()); err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrUpstream) {
			t.Fatal(err)
		}
		if err := s.check(rules{key: key}, time.Now()); !errors.Is(err, ErrRefused) {
			t.Fatalf("passed on without a signature: %v", err)
		}
	})
}
