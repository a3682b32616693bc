package debian_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/refresh"
	"github.com/mastercard/mangos/modules/definition"
)

// TestDebian locks and fetches from the project's Debian definition: the suites
// trixie, trixie-updates and, in an archive with a key of its own, trixie-security.
func TestDebian(t *testing.T) {
	keys := map[string]*debtest.Key{"debian": debtest.NewKey(t, 0), "debian-security": debtest.NewKey(t, 0)}
	w := newWorld(t, "debian", keys)
	w.dist.Sets = map[string]definition.Set{"tools": {Base: definition.BaseNone, Packages: []string{"plain", "updated", "mended", "blob"}}}
	w.dist.Sources = definition.Sources{}

	main, security := w.archives["debian"], w.archives["debian-security"]
	publish := func(suite, label string, hours int, key *debtest.Key, packages map[string][]debtest.Package) {
		to, pool := main, ""
		if label != "Debian" {
			to, pool = security, "updates/"
		}
		s := debtest.Suite{
			Name: suite, Packages: map[string]string{}, Sources: map[string]string{}, Compression: ".xz", Architecture: "amd64", ByHash: true,
			Head: fmt.Sprintf("Origin: Debian\nLabel: %s\nSuite: %s\nCodename: %s\nDate: %s\nArchitectures: all amd64 arm64\n"+
				"Components: main contrib non-free-firmware non-free\n", label, strings.Replace(suite, "trixie", "stable", 1), suite,
				debtest.Date.Add(time.Duration(hours)*time.Hour).Format("Mon, 02 Jan 2006 15:04:05 UTC")),
		}
		for _, component := range []string{"main", "non-free-firmware"} {
			s.Packages[component], s.Sources[component] = "", ""
			for _, p := range packages[component] {
				p.Architecture = "amd64"
				s.Packages[component] += to.AddPackage(t, p, pool+component)
				s.Sources[component] += to.AddSource(p.Name, p.Version, pool+component)
			}
		}
		to.Publish(t, s, debtest.Date.Add(time.Duration(hours)*time.Hour+time.Minute), key)
	}
	tools := machineTools(t) // the lock is made with the archive's own apt
	publish("trixie", "Debian", 0, keys["debian"], map[string][]debtest.Package{
		"main": {baseFiles(), tools, machineApt(t, tools),
			{Name: "plain", Version: "1-1"}, {Name: "updated", Version: "1-1"}, {Name: "mended", Version: "1-1"}},
		"non-free-firmware": {{Name: "blob", Version: "1-1"}},
	})
	publish("trixie-updates", "Debian", 1, keys["debian"], map[string][]debtest.Package{"main": {{Name: "updated", Version: "1-1+deb13u1"}}})
	secured := map[string][]debtest.Package{"main": {{Name: "mended", Version: "1-1+deb13u1"}}}
	publish("trixie-security", "Debian-Security", 5, keys["debian-security"], secured)

	l, _ := w.locked(t)
	got := map[string]string{}
	for _, p := range l.Packages {
		got[p.Name] = p.Version + " " + p.Suite + " " + p.Path
	}
	if want := map[string]string{
		"plain":   "1-1 trixie pool/main/p/plain/plain_1-1_amd64.deb",
		"updated": "1-1+deb13u1 trixie-updates pool/main/u/updated/updated_1-1+deb13u1_amd64.deb",
		"mended":  "1-1+deb13u1 trixie-security pool/updates/main/m/mended/mended_1-1+deb13u1_amd64.deb",
		"blob":    "1-1 trixie pool/non-free-firmware/b/blob/blob_1-1_amd64.deb",
	}; !maps.Equal(got, want) {
		t.Errorf("locked %v, want %v", got, want)
	}
	for i, want := range []string{"debian http://snapshot.debian.org/archive/debian/20260102T160405Z/",
		"debian-security http://snapshot.debian.org/archive/debian-security/20260102T200405Z/"} {
		if got := l.Archives[i].Name + " " + l.Archives[i].Home; got != want {
			t.Errorf("the files of %s lie for good at %s", want, got)
		}
	}
	for _, s := range l.Suites {
		if want := keys[s.Archive].Fingerprint(); strings.Join(s.Signers, " ") != want || s.Archive == "debian-security" != (s.Name == "trixie-security") {
			t.Errorf("%s of %s, signed by %v, want %s", s.Name, s.Archive, s.Signers, want)
		}
	}
	s, err := l.Select("tools")
	if err != nil {
		t.Fatal(err)
	}
	dir := w.fetch(t, s)
	if fetched, err := os.ReadDir(dir); err != nil || len(fetched) != len(got) {
		t.Errorf("fetched %v, %v", fetched, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mended_1-1+deb13u1_amd64.deb")); err != nil {
		t.Error(err)
	}

	refused := func(what, suite string, want error) error {
		t.Helper()
		_, err := w.make()
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "suite "+suite) {
			t.Errorf("%s: got %v, want %v of %s", what, err, want, suite)
		}
		return err
	}
	publish("trixie-security", "Debian-Security", 5, keys["debian"], secured)
	refused("security updates signed by another key of Debian", "trixie-security", archive.ErrSignature)
	publish("trixie-security", "Debian-Security", 5, keys["debian-security"], secured)

	// What was signed once, and is replayed; the newest of the present locks counts.
	earlier := *l
	earlier.Suites = slices.Clone(l.Suites)
	for i := range earlier.Suites {
		earlier.Suites[i].Date = "2026-01-01T00:00:00Z"
	}
	w.present = []*lock.Lock{l, &earlier}
	w.lock(t) // the same is not older
	publish("trixie-security", "Debian-Security", 4, keys["debian-security"], nil)
	if err := refused("the security updates of an hour before", "trixie-security", refresh.ErrOlder); err != nil {
		for _, want := range []string{"2026-01-02T07:04:05Z", "2026-01-02T08:04:05Z", "another mirror", "--accept-older"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
	}
	w.acceptOlder = true
	if _, log := w.lock(t); !strings.Contains(log, "trixie-security: the Release of 2026-01-02T07:04:05Z is older than the locked one of 2026-01-02T08:04:05Z, and accepted") {
		t.Errorf("an older Release was accepted, and nothing said:\n%s", log)
	}
	w.present, w.acceptOlder = nil, false
	w.lock(t)
	publish("trixie-security", "Debian-Security", 5, keys["debian-security"], secured)

	main["dists/trixie/InRelease"] = main["dists/trixie-updates/InRelease"]
	refused("one suite in the place of another, signed by the same key", "trixie", archive.ErrSuite)
}
