package origin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// Errors of locks that are not what the distribution signed.
var (
	// ErrRelease: a suite's Release is missing, not signed by the given keys, or
	// another one.
	ErrRelease = errors.New("the lock's suite is not a signed Release")
	// ErrIndex: an index is missing, or not the one that the Release names.
	ErrIndex = errors.New("index of a suite")
	// ErrEntry: something in the lock does not stand in the indexes.
	ErrEntry = errors.New("not in the indexes of its suite")
)

// Release verifies the signed Release that a lock holds of a suite, at the time
// of its date: signatures and keys do not become bad by growing old.
func Release(suite lock.Suite, keys *archive.Keyring) (*archive.Release, error) {
	fail := func(err error) (*archive.Release, error) {
		return nil, fmt.Errorf("suite %s: %w: %w", suite.Name, ErrRelease, err)
	}
	signed, err := suite.Kept()
	if err != nil {
		return fail(err)
	}
	at, err := time.Parse(time.RFC3339, suite.Date)
	if err != nil {
		return fail(err)
	}
	r, err := keys.Verify(signed, at.Add(time.Hour)) // it is signed after it is dated
	if err == nil {
		err = r.Of(suite.Name)
	}
	if err != nil {
		return fail(err)
	}
	if r.SHA256 != suite.Release || !r.Date.Equal(at) || !slices.Equal(r.Signers, suite.Signers) {
		return fail(fmt.Errorf("the lock names the one with SHA-256 %s of %s by %q, and holds %s of %s by %q",
			suite.Release, suite.Date, suite.Signers, r.SHA256, r.Date.Format(time.RFC3339), r.Signers))
	}
	return r, nil
}

// Result counts what was found in the indexes.
type Result struct{ Suites, Packages, Sources int }

// Check holds a lock against the distribution's word: each suite is a Release
// signed by its keys, its indexes are those that the Release names, and every
// package and source of the lock stands there with this version, path, size and
// digest.
func (x Indexes) Check(l *lock.Lock, keys map[string]*archive.Keyring) (Result, error) {
	result, _, err := x.check(l, keys)
	return result, err
}

// Sources is Check, and returns what the indexes say of the lock's sources, in its order.
func (x Indexes) Sources(l *lock.Lock, keys map[string]*archive.Keyring) ([]archive.Source, error) {
	_, sources, err := x.check(l, keys)
	return sources, err
}

func (x Indexes) check(l *lock.Lock, keys map[string]*archive.Keyring) (Result, []archive.Source, error) {
	result := Result{Suites: len(l.Suites)}
	wanted := namesOf(l)
	found := newFound()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, suite := range l.Suites {
		ring, ok := keys[suite.Name]
		if !ok {
			return result, nil, fmt.Errorf("suite %s: %w: nobody is trusted to sign it", suite.Name, ErrRelease)
		}
		r, err := Release(suite, ring)
		if err != nil {
			return result, nil, err
		}
		for _, index := range suite.Indexes {
			g.Go(func() error { return found.read(suite.Name, x[suite.Name], r, index, wanted) })
		}
	}
	if err := g.Wait(); err != nil {
		return result, nil, err
	}
	for _, p := range l.Packages {
		want := archive.Package{Name: p.Name, Version: p.Version, Architecture: p.Architecture, Source: p.Source, SourceVersion: p.SourceVersion,
			File: archive.File{Path: p.Path, Size: p.Size, SHA256: p.SHA256}}
		if !slices.ContainsFunc(found.packages[p.Suite+" "+p.Name], func(have archive.Package) bool { return same(have, want) }) {
			return result, nil, fmt.Errorf("package %s %s (%s, SHA-256 %s): %w %s", p.Name, p.Version, p.Path, p.SHA256, ErrEntry, p.Suite)
		}
		result.Packages++
	}
	var sources []archive.Source
	for _, source := range l.Sources {
		s, ok := found.source(source)
		if !ok {
			return result, nil, fmt.Errorf("source %s %s: %w %s", source.Name, source.Version, ErrEntry, source.Suite)
		}
		sources = append(sources, s)
		result.Sources++
	}
	return result, sources, nil
}

// same compares what a lock keeps of a package.
func same(a, b archive.Package) bool {
	return a.Version == b.Version && a.Architecture == b.Architecture && a.Source == b.Source && a.SourceVersion == b.SourceVersion && a.File == b.File
}

// namesOf are the names that are looked for.
func namesOf(l *lock.Lock) map[string]bool {
	names := map[string]bool{}
	for _, p := range l.Packages {
		names[p.Name] = true
	}
	for _, s := range l.Sources {
		names[s.Name] = true
	}
	return names
}

// found is what the indexes say of the packages that are looked for, by suite
// and name.
type found struct {
	mu       sync.Mutex
	packages map[string][]archive.Package
	sources  map[string][]archive.Source
}

func newFound() *found {
	return &found{packages: map[string][]archive.Package{}, sources: map[string][]archive.Source{}}
}

// read checks an index against the Release and takes out what is wanted.
func (f *found) read(suite string, indexes map[string][]byte, r *archive.Release, index lock.Index, wanted map[string]bool) error {
	below, ok := strings.CutPrefix(index.Path, "dists/"+suite+"/")
	listed, inRelease := r.File(below)
	if !ok || !inRelease || listed.SHA256 != index.SHA256 {
		return fmt.Errorf("%w %s: the Release does not list %s with SHA-256 %s", ErrIndex, suite, index.Path, index.SHA256)
	}
	plain := strings.TrimSuffix(below, path.Ext(below))
	content, ok := indexes[plain]
	if !ok {
		return fmt.Errorf("%w %s: %s is not there", ErrIndex, suite, plain)
	}
	sum := sha256.Sum256(content)
	if unpacked, ok := r.File(plain); !ok || unpacked.SHA256 != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("%w %s: %s has SHA-256 %x, the Release says %s", ErrIndex, suite, plain, sum, unpacked.SHA256)
	}
	return f.parse(suite, path.Base(plain), archive.Filter(content, wanted))
}

// parse reads the paragraphs of an index of either kind.
func (f *found) parse(suite, kind string, paragraphs []byte) error {
	var packages []archive.Package
	var sources []archive.Source
	var err error
	if kind == "Sources" {
		sources, err = archive.Sources(paragraphs, func(string, string) bool { return true })
	} else {
		packages, err = archive.Packages(paragraphs)
	}
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrIndex, suite, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range packages {
		f.packages[suite+" "+p.Name] = append(f.packages[suite+" "+p.Name], p)
	}
	for _, s := range sources {
		f.sources[suite+" "+s.Name] = append(f.sources[suite+" "+s.Name], s)
	}
	return nil
}

// source looks for a source whose files are all listed, and no other.
func (f *found) source(want lock.Source) (archive.Source, bool) {
	list := f.sources[want.Suite+" "+want.Name]
	i := slices.IndexFunc(list, func(s archive.Source) bool {
		if s.Version != want.Version || len(s.Files) != len(want.Files) {
			return false
		}
		for _, w := range want.Files {
			if !slices.Contains(s.Files, archive.File{Path: w.Path, Size: w.Size, SHA256: w.SHA256}) {
				return false
			}
		}
		return true
	})
	if i < 0 {
		return archive.Source{}, false
	}
	return list[i], true
}
