// Package solve asks apt itself which packages a set consists of.
//
// The apt that answers comes from the very archive: its packages, found by a
// resolver that knows just enough for that, are unpacked into a folder, and it
// runs there, without network, on a local copy of the verified indexes and with
// an empty package database. So the same archive state gives the same answer on
// every machine.
package solve

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"pault.ag/go/debian/dependency"

	"github.com/mastercard/mangos/modules/debian/archive"
)

// ErrUnsolvable says that a package or a dependency cannot be had.
var ErrUnsolvable = errors.New("cannot be solved")

// Candidate is a version of a package that a suite offers.
type Candidate struct {
	archive.Package
	Suite, Archive string
}

// Index is what all suites offer.
type Index struct {
	suites       []*archive.Suite
	architecture string
	byName       map[string][]Candidate
	providers    map[string][]string
	// withheld are the files that no server has, by their path.
	withheld map[string]bool
}

// NewIndex reads the package indexes of suites.
func NewIndex(suites []*archive.Suite, architecture string) (*Index, error) {
	x := &Index{
		suites: suites, architecture: architecture, byName: map[string][]Candidate{},
		providers: map[string][]string{}, withheld: map[string]bool{},
	}
	for _, s := range suites {
		for _, c := range s.Components {
			packages, err := archive.Packages(c.Packages)
			if err != nil {
				return nil, fmt.Errorf("suite %s, component %s: %w", s.Name, c.Name, err)
			}
			for _, p := range packages {
				if p.Architecture != architecture && p.Architecture != "all" {
					return nil, fmt.Errorf("suite %s: %w: %s is of architecture %s", s.Name, archive.ErrIndex, p.Name, p.Architecture)
				}
				x.byName[p.Name] = append(x.byName[p.Name], Candidate{p, s.Name, s.Archive})
				x.addProviders(p)
			}
		}
	}
	return x, nil
}

func (x *Index) addProviders(p archive.Package) {
	for word := range strings.SplitSeq(p.Provides, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(word), " ")
		name, _, _ = strings.Cut(name, ":")
		if name != "" && !slices.Contains(x.providers[name], p.Name) {
			x.providers[name] = append(x.providers[name], p.Name)
		}
	}
}

// Withhold takes a file out of the index: no server has it.
func (x *Index) Withhold(path string) { x.withheld[path] = true }

// Find returns the candidate of that name and version.
func (x *Index) Find(name, version string) (Candidate, error) {
	for _, c := range x.byName[name] {
		if c.Version == version && !x.withheld[c.File.Path] {
			return c, nil
		}
	}
	return Candidate{}, fmt.Errorf("%w: no package %s %s in the indexes", ErrUnsolvable, name, version)
}

// Newest returns the newest candidate of a name.
func (x *Index) Newest(name string) (Candidate, bool, error) {
	var best Candidate
	found := false
	for _, c := range x.byName[name] {
		if x.withheld[c.File.Path] {
			continue
		}
		if !found {
			best, found = c, true
			continue
		}
		order, err := archive.CompareVersions(c.Version, best.Version)
		if err != nil {
			return best, false, err
		}
		if order > 0 {
			best = c
		}
	}
	return best, found, nil
}

// Essential returns the names of the packages whose newest version is Essential.
func (x *Index) Essential() ([]string, error) {
	var names []string
	for name := range x.byName {
		c, ok, err := x.Newest(name)
		if err != nil {
			return nil, err
		}
		if ok && c.Essential {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, nil
}

// closure follows dependencies the simple way: the newest version, the first
// alternative that there is, the first provider of a virtual name. It is good
// enough to unpack apt and run it; what goes into a lock is solved by apt.
func (x *Index) closure(names []string) ([]Candidate, error) {
	var list []Candidate
	seen := map[string]bool{}
	queue := slices.Clone(names)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		c, ok, err := x.Newest(name)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%w: no package %s", ErrUnsolvable, name)
		}
		list = append(list, c)
		next, err := x.needs(c, seen)
		if err != nil {
			return nil, err
		}
		queue = append(queue, next...)
	}
	slices.SortFunc(list, func(a, b Candidate) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (x *Index) needs(c Candidate, have map[string]bool) ([]string, error) {
	if c.Depends == "" {
		return nil, nil
	}
	dep, err := dependency.Parse(c.Depends)
	if err != nil {
		return nil, fmt.Errorf("dependencies of %s: %w", c.Name, err)
	}
	var names []string
	for _, relation := range dep.Relations {
		name := ""
		for _, p := range relation.Possibilities {
			if found := x.offer(p.Name, have); found != "" {
				name = found
				break
			}
		}
		if name == "" {
			return nil, fmt.Errorf("%w: %s needs %s", ErrUnsolvable, c.Name, relation.String())
		}
		names = append(names, name)
	}
	return names, nil
}

// offer returns the package that stands for a name: itself, a provider that is
// there already, or the first provider.
func (x *Index) offer(name string, have map[string]bool) string {
	if len(x.byName[name]) > 0 {
		return name
	}
	providers := slices.Sorted(slices.Values(x.providers[name]))
	for _, p := range providers {
		if have[p] {
			return p
		}
	}
	if len(providers) > 0 {
		return providers[0]
	}
	return ""
}
