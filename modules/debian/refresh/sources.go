package refresh

import (
	"context"
	"fmt"
	"slices"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/solve"
)

// found is a source package and the suite that lists it.
type found struct {
	archive.Source
	suite *archive.Suite
}

// sources records the source of each package, and the sources that are built.
func (m *Maker) sources(ctx context.Context) error {
	wanted := map[string]bool{}
	for _, p := range m.lock.Packages {
		wanted[p.Source+"="+p.SourceVersion] = true
	}
	build := m.Distribution.Sources.Packages
	all, err := m.readSources(func(name, version string) bool {
		return wanted[name+"="+version] || slices.Contains(build, name)
	})
	if err != nil {
		return err
	}
	for _, name := range build {
		s, err := m.newest(ctx, name, all)
		if err != nil {
			return err
		}
		wanted[s.Name+"="+s.Version] = true
		m.lock.Build = append(m.lock.Build, s.Name+"="+s.Version)
		m.logf("source %s %s, to build", s.Name, s.Version)
	}
	done := map[string]bool{}
	for _, s := range all {
		key := s.Name + "=" + s.Version
		if !wanted[key] || done[key] {
			continue
		}
		done[key] = true
		locked := lock.Source{Name: s.Name, Version: s.Version, Suite: s.suite.Name}
		for _, f := range s.Files {
			locked.Files = append(locked.Files, lock.File{Path: f.Path, Size: f.Size, SHA256: f.SHA256})
		}
		m.lock.Sources = append(m.lock.Sources, locked)
	}
	for _, p := range m.lock.Packages {
		if !done[p.Source+"="+p.SourceVersion] {
			return fmt.Errorf("%w: no index has the source of %s: %s %s", solve.ErrUnsolvable, p.Name, p.Source, p.SourceVersion)
		}
	}
	m.logf("%d packages from %d source packages", len(m.lock.Packages), len(m.lock.Sources))
	return nil
}

func (m *Maker) readSources(want func(name, version string) bool) ([]found, error) {
	var all []found
	for _, suite := range m.suites {
		for _, c := range suite.Components {
			list, err := archive.Sources(c.Sources, want)
			if err != nil {
				return nil, fmt.Errorf("suite %s, component %s: sources: %w", suite.Name, c.Name, err)
			}
			for _, s := range list {
				all = append(all, found{s, suite})
			}
		}
	}
	return all, nil
}

// newest returns the newest version of a source whose files can all be had, and
// says which newer ones it passes over.
func (m *Maker) newest(ctx context.Context, name string, all []found) (found, error) {
	var versions []found
	for _, s := range all {
		if s.Name == name {
			versions = append(versions, s)
		}
	}
	var failure error
	slices.SortStableFunc(versions, func(a, b found) int {
		order, err := archive.CompareVersions(b.Version, a.Version)
		if err != nil {
			failure = err
		}
		return order
	})
	if failure != nil {
		return found{}, failure
	}
	for _, s := range versions {
		absent, err := m.absent(ctx, s)
		if err != nil {
			return found{}, err
		}
		if absent == "" {
			return s, nil
		}
		m.logf("source %s %s is in the index of %s, but no server has %s: passed over", s.Name, s.Version, s.suite.Name, absent)
		m.withhold("src:" + s.Name + "=" + s.Version)
	}
	return found{}, fmt.Errorf("%w: no version of the source %s whose files can be had", solve.ErrUnsolvable, name)
}

func (m *Maker) withhold(what string) {
	if !slices.Contains(m.lock.Withheld, what) {
		m.lock.Withheld = append(m.lock.Withheld, what)
	}
}

// absent returns the first file of a source that no server has.
func (m *Maker) absent(ctx context.Context, s found) (string, error) {
	for _, f := range s.Files {
		ok, err := m.Fetcher.Exists(ctx, s.suite.Archive, f.Path)
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", f.Path, err)
		}
		if !ok {
			return f.Path, nil
		}
	}
	return "", nil
}
