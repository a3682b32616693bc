// Package refresh makes a fresh lock from a distribution's archive.
package refresh

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/solve"
	"github.com/mastercard/mangos/modules/definition"
)

// Maker makes a lock. The same state of the archive gives the same lock.
type Maker struct {
	Distribution definition.Distribution
	// Base is the folder that the definition's key files are relative to.
	Base string
	// Fetcher reads the archive.
	Fetcher *fetch.Fetcher
	// Sandbox is the sandbox program; Scratch an empty folder to run apt in.
	Sandbox, Scratch string
	// Now is the moment at which signatures and Releases must be valid.
	Now time.Time
	// Present are the locks that the new one takes the place of: no suite, package
	// or source that is built may be older than in one of them, unless AcceptOlder
	// is set.
	Present     []*lock.Lock
	AcceptOlder bool
	// Log gets a line for each step.
	Log io.Writer

	suites []*archive.Suite
	index  *solve.Index
	lock   *lock.Lock
	picked map[string]solve.Candidate
}

// maxRounds bounds how often the sets are solved again because a file that the
// indexes name is on no server.
const maxRounds = 8

// Make returns the lock.
func (m *Maker) Make(ctx context.Context) (*lock.Lock, error) {
	d := m.Distribution
	if len(d.Sets) == 0 {
		return nil, fmt.Errorf("make lock: [distribution.%s] has no package sets", d.Name)
	}
	if m.Fetcher.Homes == nil {
		m.Fetcher.Homes = fetch.Mirrors{}
	}
	for name, a := range d.Archives {
		// Without a mirror, the permanent home as of now.
		if len(m.Fetcher.Mirrors[name])+len(m.Fetcher.Homes[name]) == 0 {
			m.Fetcher.Homes[name] = []string{home(a, m.Now)}
		}
	}
	m.lock = &lock.Lock{Format: lock.Format, Distribution: d.Name, Architecture: d.Architecture}
	for _, step := range []func(context.Context) error{m.read, m.solve, m.sources} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("make lock: %w", err)
		}
	}
	if err := m.notBack(); err != nil {
		return nil, fmt.Errorf("make lock: %w", err)
	}
	for _, line := range m.lock.Notices() {
		m.logf("%s", line)
	}
	return m.lock, nil
}

func (m *Maker) logf(format string, args ...any) { fmt.Fprintf(m.Log, format+"\n", args...) }

// read fetches and verifies the suites.
func (m *Maker) read(ctx context.Context) error {
	newest := map[string]time.Time{}
	for _, s := range m.Distribution.Suites {
		keys, err := archive.LoadKeyring(m.Base, s.Keys, s.Signers)
		if err != nil {
			return fmt.Errorf("suite %s: %w", s.Name, err)
		}
		suite, err := archive.ReadSuite(ctx, m.Fetcher, s.Archive, s.Name, s.Components, m.Distribution.Architecture, keys, m.Now)
		if err != nil {
			return err
		}
		if err := m.notOlder(suite); err != nil {
			return err
		}
		m.suites = append(m.suites, suite)
		r := suite.Release
		m.logf("%s: Release of %s, signed by %s", s.Name, r.Date.Format(time.RFC3339), strings.Join(r.Signers, " and "))
		locked := lock.Suite{Name: s.Name, Archive: s.Archive, Date: r.Date.Format(time.RFC3339), Release: r.SHA256, Signers: r.Signers}
		for _, f := range suite.Read {
			locked.Indexes = append(locked.Indexes, lock.Index{Path: f.Path, SHA256: f.SHA256})
		}
		if err := locked.Keep(suite.Signed); err != nil {
			return err
		}
		m.lock.Suites = append(m.lock.Suites, locked)
		if r.Date.After(newest[s.Archive]) {
			newest[s.Archive] = r.Date
		}
		m.lock.SourceDateEpoch = max(m.lock.SourceDateEpoch, r.Date.Unix())
	}
	for name, date := range newest {
		a := m.Distribution.Archives[name]
		m.lock.Archives = append(m.lock.Archives, lock.Archive{Name: name, Home: home(a, date.Add(a.HomeDelay.Duration))})
	}
	var err error
	m.index, err = solve.NewIndex(m.suites, m.Distribution.Architecture)
	return err
}

// home is the permanent home of an archive at a moment.
func home(a definition.Archive, moment time.Time) string {
	return strings.ReplaceAll(a.Home, "{timestamp}", moment.UTC().Format("20060102T150405Z"))
}

// solve solves the sets, again when a file of the solution cannot be had.
func (m *Maker) solve(ctx context.Context) error {
	for round := 0; round < maxRounds; round++ {
		dir := filepath.Join(m.Scratch, fmt.Sprintf("apt-%d", round))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		apt, err := solve.NewApt(ctx, m.index, m.Fetcher, dir, m.Sandbox)
		if err != nil {
			return err
		}
		m.picked, m.lock.Sets = map[string]solve.Candidate{}, nil
		for _, name := range sortedKeys(m.Distribution.Sets) {
			if err := m.set(ctx, apt, name, m.Distribution.Sets[name]); err != nil {
				return fmt.Errorf("set %s: %w", name, err)
			}
		}
		missing, err := m.missing(ctx)
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			m.record()
			return nil
		}
		for _, c := range missing {
			m.logf("%s %s is in the index of %s, but no server has its file: solving without it", c.Name, c.Version, c.Suite)
			m.index.Withhold(c.File.Path)
			m.withhold(c.Name + "=" + c.Version)
		}
	}
	return fmt.Errorf("after %d rounds packages of the solution are still on no server", maxRounds)
}

func (m *Maker) set(ctx context.Context, apt *solve.Apt, name string, set definition.Set) error {
	ask := slices.Clone(set.Packages)
	if set.Base == definition.BaseEssential {
		essential, err := m.index.Essential()
		if err != nil {
			return err
		}
		ask = append(ask, essential...)
	}
	solution, err := apt.Solve(ctx, ask)
	if err != nil {
		return err
	}
	locked := lock.Set{Name: name, Base: set.Base, Request: set.Packages, Exclude: set.Exclude}
	var size int64
	for _, c := range solution {
		if slices.Contains(set.Exclude, c.Name) {
			continue
		}
		if old, ok := m.picked[c.Name]; ok && old.File != c.File {
			return fmt.Errorf("%w: %s is wanted in the versions %s and %s", solve.ErrUnsolvable, c.Name, old.Version, c.Version)
		}
		m.picked[c.Name] = c
		locked.Packages = append(locked.Packages, c.Name)
		size += c.File.Size
	}
	m.lock.Sets = append(m.lock.Sets, locked)
	m.logf("set %s: %d packages, %.1f MiB", name, len(locked.Packages), float64(size)/(1<<20))
	return nil
}

// missing returns the candidates of the solution whose file no server has.
func (m *Maker) missing(ctx context.Context) ([]solve.Candidate, error) {
	var mu sync.Mutex
	var missing []solve.Candidate
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, c := range m.picked {
		group.Go(func() error {
			ok, err := m.Fetcher.Exists(ctx, c.Archive, c.File.Path)
			if err != nil {
				return fmt.Errorf("look for %s: %w", c.File.Path, err)
			}
			if !ok {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, c)
			}
			return nil
		})
	}
	err := group.Wait()
	slices.SortFunc(missing, func(a, b solve.Candidate) int { return strings.Compare(a.Name, b.Name) })
	return missing, err
}

func (m *Maker) record() {
	for _, c := range m.picked {
		m.lock.Packages = append(m.lock.Packages, lock.Package{
			Name: c.Name, Version: c.Version, Architecture: c.Architecture, Suite: c.Suite,
			Path: c.File.Path, Size: c.File.Size, SHA256: c.File.SHA256,
			Source: c.Source, SourceVersion: c.SourceVersion,
		})
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
