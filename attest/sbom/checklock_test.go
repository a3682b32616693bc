package sbom

import (
	"errors"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// TestCheckLock: what is built from a lock agrees with it, and with no other. That
// each change of a document is found is shown on releases, in package verify.
func TestCheckLock(t *testing.T) {
	in := sample()
	doc, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	found, err := CheckLock(doc, in.Lock, in.GoSum)
	if want := (Locked{Packages: 2, Sources: 3, Modules: 3}); err != nil || *found != want {
		t.Fatalf("%+v, %v; want %+v", found, err, want)
	}
	for name, change := range map[string]func(*lock.Lock, gosum.Sums){
		"another digest of a package": func(l *lock.Lock, _ gosum.Sums) { l.Packages[0].SHA256 = digest("x") },
		"another source of a package": func(l *lock.Lock, _ gosum.Sums) { l.Packages[0].Source, l.Packages[0].SourceVersion = "gcc", "14" },
		"another suite of a package":  func(l *lock.Lock, _ gosum.Sums) { l.Packages[0].Suite = "sid" },
		"no package":                  func(l *lock.Lock, _ gosum.Sums) { l.Packages = l.Packages[1:] },
		"another home of the archive": func(l *lock.Lock, _ gosum.Sums) { l.Archives[0].Home = "http://other.invalid/" },
		"another distribution":        func(l *lock.Lock, _ gosum.Sums) { l.Distribution = "other" },
		"another digest of a source":  func(l *lock.Lock, _ gosum.Sums) { l.Sources[2].Files[1].SHA256 = digest("x") },
		"a source of more files": func(l *lock.Lock, _ gosum.Sums) {
			l.Sources[2].Files = append(l.Sources[2].Files, lock.File{Path: "x"})
		},
		"a kernel that is not built":   func(l *lock.Lock, _ gosum.Sums) { l.Build = nil },
		"another Release of the suite": func(l *lock.Lock, _ gosum.Sums) { l.Suites[0].Release = digest("x") },
		"other signers of the suite":   func(l *lock.Lock, _ gosum.Sums) { l.Suites[0].Signers = []string{"F1"} },
		"no sum of a Go module":        func(_ *lock.Lock, s gosum.Sums) { clear(s) },
		"another sum of each Go module": func(_ *lock.Lock, s gosum.Sums) {
			for m := range s {
				s[m] = "h1:x="
			}
		},
	} {
		other := sample()
		change(other.Lock, other.GoSum)
		if _, err := CheckLock(doc, other.Lock, other.GoSum); !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckRealLock: of all packages of the repository's lock.
func TestCheckRealLock(t *testing.T) {
	l, err := lock.Load("../../debian.lock.json")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Name: "mangos", Version: "0.1", Epoch: 1, Lock: l}
	for _, name := range []string{"root", "initrd"} {
		c := Component{Name: name, Title: name}
		for _, p := range l.Packages {
			c.Packages = append(c.Packages, dpkg.Package{Name: p.Name, Version: p.Version})
		}
		in.Components = append(in.Components, c)
	}
	for _, b := range l.Build {
		_, version, _ := strings.Cut(b, "=")
		in.Components = append(in.Components, Component{Name: "kernel", Version: upstream(version), Source: b, CPE: kernelCPE(upstream(version))})
	}
	doc, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	found, err := CheckLock(doc, l, nil)
	if err != nil || found.Packages != 2*len(l.Packages) {
		t.Errorf("%+v, %v", found, err)
	}
}
