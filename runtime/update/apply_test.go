package update

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/runtime/install/installtest"
	"github.com/mastercard/mangos/runtime/release"
	"github.com/mastercard/mangos/runtime/update/updatetest"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// published is a release with all that an update fetches, changed as told.
func published(t *testing.T, version string, change func(*installtest.Release)) (Source, *installtest.Release) {
	t.Helper()
	b := updatetest.Release(t, version)
	if change != nil {
		change(b)
		b.Sign(t)
	}
	return Source{Files: b.Source(t), Key: installtest.ReleaseKey().Public, Patience: installtest.Patience}, b
}

// expires is an entry of a manifest: good until a day.
func expires(day string) func(*installtest.Release) {
	return func(b *installtest.Release) { b.Files["BEST-BEFORE-"+day] = nil }
}

func TestLook(t *testing.T) {
	src, b := published(t, "0.2", expires("2026-01-01"))
	for _, c := range []struct {
		about   string
		slots   []updatetest.Slot
		entries []string
		want    Verdict
	}{
		{"nothing of it", slots("0.1", ""), []string{"mangos_0.1.efi"}, New},
		{"an older one in the other slot", slots("0.1", "0.0"), []string{"mangos_0.1.efi", "mangos_0.0.efi"}, New},
		{"its slot, no entry: cut off", []updatetest.Slot{{Version: "0.1"}, {Version: "0.2", Root: b.Root}}, []string{"mangos_0.1.efi"}, New},
		{"a newer one that failed", slots("0.1", "0.3"), []string{"mangos_0.1.efi", "mangos_0.3+0-3.efi"}, New},
		{"it runs", []updatetest.Slot{{Version: "0.2", Root: b.Root}, {}}, []string{"mangos_0.2.efi"}, Current},
		{"it waits", []updatetest.Slot{{Version: "0.1"}, {Version: "0.2", Root: b.Root}}, []string{"mangos_0.1.efi", "mangos_0.2+3-0.efi"}, Waiting},
		{"it failed", []updatetest.Slot{{Version: "0.1"}, {Version: "0.2", Root: b.Root}}, []string{"mangos_0.1.efi", "mangos_0.2+0-3.efi"}, Failed},
		{"its slot was emptied, it failed", slots("0.1", ""), []string{"mangos_0.1.efi", "mangos_0.2+0-3.efi"}, Failed},
	} {
		o, err := src.Look(t.Context(), read(t, updatetest.New(t, c.slots, c.entries...)), now)
		if err != nil || o.Version != "0.2" || o.Verdict != c.want {
			t.Errorf("%s: %+v, %v", c.about, o, err)
			continue
		}
		if want := updatetest.Size(b); (o.Verdict == New) != (o.Size == want) {
			t.Errorf("%s: %d bytes, want %d", c.about, o.Size, want)
		}
	}
}

func TestLookRefuses(t *testing.T) {
	for _, c := range []struct {
		about  string
		slots  []updatetest.Slot
		change func(*installtest.Release)
		want   error
	}{
		{"expired", slots("0.1", ""), expires("2025-12-30"), release.ErrExpired},
		{"no day", slots("0.1", ""), expires("tomorrow"), release.ErrManifest},
		{"older than what runs", slots("0.3", ""), nil, ErrOlder},
		{"older than what waits", slots("0.1", "0.3"), nil, ErrOlder},
		{"another of the running version", slots("0.2", ""), nil, release.ErrManifest},
		{"another of the waiting version", slots("0.1", "0.2"), nil, release.ErrManifest},
		{"no kernel image", slots("0.1", ""), func(b *installtest.Release) { delete(b.Files, "mangos_0.2.efi") }, release.ErrManifest},
	} {
		src, _ := published(t, "0.2", c.change)
		var entries []string
		for _, s := range c.slots {
			if s.Version != "" {
				entries = append(entries, "mangos_"+s.Version+".efi")
			}
		}
		if o, err := src.Look(t.Context(), read(t, updatetest.New(t, c.slots, entries...)), now); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", c.about, o, err)
		}
	}
	src, _ := published(t, "0.2", nil)
	src.Key = []byte("no key")
	if o, err := src.Look(t.Context(), read(t, updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi")), now); !errors.Is(err, release.ErrSignature) {
		t.Errorf("another key: %+v, %v", o, err)
	}
	// Another image of the same organisation.
	m := updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi")
	s := read(t, m)
	s.Image = "other"
	src, _ = published(t, "0.2", nil)
	if o, err := src.Look(t.Context(), s, now); !errors.Is(err, release.ErrManifest) {
		t.Errorf("another image: %+v, %v", o, err)
	}
}

// told are the offers that an apply tells of before it does anything.
type told []Offer

func (a *told) found(_ *State, o *Offer) { *a = append(*a, *o) }

func TestApply(t *testing.T) {
	m := updatetest.New(t, slots("0.1", "0.0"), "mangos_0.1.efi", "mangos_0.0.efi")
	src, b := published(t, "0.2", nil)
	program := m.Sysupdate([]updatetest.Slot{{Version: "0.1"}, {Version: "0.2", Root: b.Root}}, "mangos_0.2+3-0.efi")
	var log strings.Builder
	var all told
	o, err := Apply(t.Context(), m.Root, src, Sysupdate{program, "/definitions", &log}, now, all.found)
	if err != nil || o.Verdict != New || o.Version != "0.2" || len(all) != 1 || all[0].Size != updatetest.Size(b) {
		t.Fatalf("%+v, %v, told of %+v", o, err, all)
	}
	const args = "--definitions=/definitions --no-pager update 0.2\n"
	if got, err := os.ReadFile(filepath.Join(m.Root, "sysupdate.args")); string(got) != args || !strings.Contains(log.String(), "fake: --definitions") {
		t.Errorf("called with %q, %v; log %q", got, err, log.String())
	}
	s := read(t, m)
	if s.Next().Version != "0.2" || s.Fallback().Version != "0.1" {
		t.Errorf("%q", s.Lines())
	}
	// Again: nothing to do, and nothing is called.
	if err := os.Remove(filepath.Join(m.Root, "sysupdate.args")); err != nil {
		t.Fatal(err)
	}
	if o, err := Apply(t.Context(), m.Root, src, Sysupdate{program, "", &log}, now, all.found); err != nil || o.Verdict != Waiting {
		t.Errorf("again: %+v, %v", o, err)
	}
	if _, err := os.Stat(filepath.Join(m.Root, "sysupdate.args")); err == nil {
		t.Error("systemd-sysupdate was called for nothing")
	}
}

// Before the running version proved good, the one to fall back to is not overwritten.
func TestApplyNotNow(t *testing.T) {
	src, _ := published(t, "0.2", nil)
	for _, c := range []struct {
		slots   []updatetest.Slot
		entries []string
		want    string
	}{
		{slots("0.1", "0.0"), []string{"mangos_0.0.efi", "mangos_0.1+2-1.efi"}, "did not prove good yet"},
		{slots("0.1", "0.0"), []string{"mangos_0.0.efi", "mangos_0.1+0-0.efi"}, "is set aside, and the other one would be overwritten"},
		{slots("0.1", "0.0"), []string{"mangos_0.0.efi"}, "no entry for the running version"},
		{slots("0.1"), []string{"mangos_0.1.efi"}, "one slot alone"},
	} {
		m := updatetest.New(t, c.slots, c.entries...)
		var all told
		_, err := Apply(t.Context(), m.Root, src, Sysupdate{Program: m.Sysupdate(c.slots, "x")}, now, all.found)
		if !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.entries, err)
		}
		if _, err := os.Stat(filepath.Join(m.Root, "sysupdate.args")); err == nil {
			t.Errorf("%q: systemd-sysupdate was called", c.entries)
		}
	}
}

// What systemd-sysupdate says it did is looked at.
func TestApplyLooksAfterwards(t *testing.T) {
	src, b := published(t, "0.2", nil)
	right := []updatetest.Slot{{Version: "0.1"}, {Version: "0.2", Root: b.Root}}
	for _, c := range []struct {
		about, entry, want string
		slots              []updatetest.Slot
	}{
		{"nothing was written", "mangos_0.2+3-0.efi", "no slot holds all of it", slots("0.1", "")},
		{"another root", "mangos_0.2+3-0.efi", "has the root hash", []updatetest.Slot{{Version: "0.1"}, {Version: "0.2", Root: sha256.Sum256(nil)}}},
		{"no entry", "mangos_0.1+9-9.efi", "no entry of it", right},
		{"an entry without tries", "mangos_0.2.efi", "no entry of it with starts left", right},
		{"another is next", "mangos_0.2+3-0.efi", "the boot loader starts 0.9 next", right},
	} {
		m := updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi")
		if strings.Contains(c.want, "0.9") {
			m.Write("efi/EFI/Linux/mangos_0.9.efi", "")
		}
		var all told
		_, err := Apply(t.Context(), m.Root, src, Sysupdate{Program: m.Sysupdate(c.slots, c.entry)}, now, all.found)
		if !errors.Is(err, ErrSysupdate) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.about, err)
		}
	}
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sysupdate")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestApplyFails(t *testing.T) {
	src, _ := published(t, "0.2", nil)
	for program, want := range map[string]string{
		script(t, "echo no room >&2; exit 1\n"): "exit status 1, it says why above; version 0.1 stays",
		"/nowhere/systemd-sysupdate":            "systemd-container",
	} {
		m := updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi")
		var all told
		if _, err := Apply(t.Context(), m.Root, src, Sysupdate{Program: program}, now, all.found); !errors.Is(err, ErrSysupdate) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

// systemd-sysupdate inherits the lock: where it goes on alone, nobody else starts.
func TestApplyLock(t *testing.T) {
	m := updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi")
	src, _ := published(t, "0.2", nil)
	gate := filepath.Join(t.TempDir(), "gate")
	// A program that ends, and leaves one behind that still writes.
	program := script(t, fmt.Sprintf("(while ! test -e %s; do sleep 0.05; done) </dev/null >/dev/null 2>&1 &\nexit 1\n", gate))
	var all told
	if _, err := Apply(t.Context(), m.Root, src, Sysupdate{Program: program}, now, all.found); !errors.Is(err, ErrSysupdate) {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), m.Root, src, Sysupdate{Program: program}, now, all.found); !errors.Is(err, ErrBusy) {
		t.Errorf("while the other writes: %v", err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		f, err := lock(m.Root)
		if err == nil {
			_ = f.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
