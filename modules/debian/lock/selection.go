package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/definition"
)

// SelectionFormat is the value of a selection's first key.
const SelectionFormat = "mangos-debian-selection-1"

// Selection is what one step needs of a lock: the packages of a set, or the files
// of a source package. It holds nothing else, so that a step that depends on a
// selection is done again only when the selection changes; dates and permanent
// homes, which change with each lock, are not in it.
type Selection struct {
	Format       string            `json:"format"`
	Name         string            `json:"name"`
	Distribution string            `json:"distribution"`
	Architecture string            `json:"architecture"`
	Packages     []SelectedPackage `json:"packages,omitempty"`
	Source       *SelectedSource   `json:"source,omitempty"`
	Paths        []string          `json:"paths,omitempty"`
}

// SelectedPackage is a binary package of a selection.
type SelectedPackage struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"arch"`
	Archive      string `json:"archive"`
	Path         string `json:"path"`
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
}

// SelectedSource is the source package of a selection.
type SelectedSource struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Archive string `json:"archive"`
	Files   []File `json:"files"`
}

// Select returns the selection of the set of that name.
func (l *Lock) Select(name string) (*Selection, error) {
	i := slices.IndexFunc(l.Sets, func(s Set) bool { return s.Name == name })
	if i < 0 {
		names := make([]string, len(l.Sets))
		for i, s := range l.Sets {
			names[i] = s.Name
		}
		return nil, fmt.Errorf("select: the lock has no set %q; it has %s", name, strings.Join(names, ", "))
	}
	archives := l.archives()
	wanted := map[string]bool{}
	for _, p := range l.Sets[i].Packages {
		wanted[p] = true
	}
	s := &Selection{Format: SelectionFormat, Name: name, Distribution: l.Distribution, Architecture: l.Architecture}
	for _, p := range l.Packages {
		if wanted[p.Name] {
			s.Packages = append(s.Packages, SelectedPackage{
				Name: p.Name, Version: p.Version, Architecture: p.Architecture, Archive: archives[p.Suite],
				Path: p.Path, Size: p.Size, SHA256: p.SHA256,
			})
		}
	}
	return s, nil
}

// Omit takes packages out of the selection.
func (s *Selection) Omit(names []string) {
	s.Packages = slices.DeleteFunc(s.Packages, func(p SelectedPackage) bool { return slices.Contains(names, p.Name) })
}

// SelectSource returns the selection of a source package that is built.
func (l *Lock) SelectSource(name string) (*Selection, error) {
	i := slices.IndexFunc(l.Sources, func(s Source) bool {
		return s.Name == name && slices.Contains(l.Build, s.Name+"="+s.Version)
	})
	if i < 0 {
		return nil, fmt.Errorf("select: the lock has no source %q to build; it has %s", name, strings.Join(l.Build, ", "))
	}
	return l.selectSource(&l.Sources[i]), nil
}

func (l *Lock) selectSource(s *Source) *Selection {
	return &Selection{
		Format: SelectionFormat, Name: s.Name, Distribution: l.Distribution, Architecture: l.Architecture,
		Source: &SelectedSource{Name: s.Name, Version: s.Version, Archive: l.archives()[s.Suite], Files: s.Files},
	}
}

// SelectSources returns a selection for each source package that the packages of
// the sets were built from, and for each that is built.
func (l *Lock) SelectSources(sets ...string) ([]*Selection, error) {
	wanted := map[string]bool{}
	for _, key := range l.Build {
		wanted[key] = true
	}
	for _, name := range sets {
		selection, err := l.Select(name)
		if err != nil {
			return nil, err
		}
		in := map[string]bool{}
		for _, p := range selection.Packages {
			in[p.Name] = true
		}
		for _, p := range l.Packages {
			if in[p.Name] {
				wanted[p.Source+"="+p.SourceVersion] = true
			}
		}
	}
	var list []*Selection
	for i := range l.Sources {
		if s := &l.Sources[i]; wanted[s.Name+"="+s.Version] {
			list = append(list, l.selectSource(s))
		}
	}
	return list, nil
}

// archives maps the suites to their archives.
func (l *Lock) archives() map[string]string {
	m := map[string]string{}
	for _, s := range l.Suites {
		m[s.Name] = s.Archive
	}
	return m
}

// Fits reports, by an ErrStale that says what differs, whether the lock was made
// for what the definition says.
func (l *Lock) Fits(dist definition.Distribution) error {
	if l.Distribution != dist.Name || l.Architecture != dist.Architecture {
		return fmt.Errorf("%w: it is of %s %s, not of %s %s", ErrStale, l.Distribution, l.Architecture, dist.Name, dist.Architecture)
	}
	for _, s := range l.Sets {
		want, ok := dist.Sets[s.Name]
		if !ok {
			return fmt.Errorf("%w: the definition has no set %s any more: make the lock anew (debian lock)", ErrStale, s.Name)
		}
		if want.Base != s.Base || !slices.Equal(want.Packages, s.Request) || !slices.Equal(want.Exclude, s.Exclude) {
			return fmt.Errorf("%w: the set %s was changed: make the lock anew (debian lock)", ErrStale, s.Name)
		}
	}
	if len(l.Sets) != len(dist.Sets) {
		return fmt.Errorf("%w: the definition has sets that the lock lacks: make the lock anew (debian lock)", ErrStale)
	}
	var built []string
	for _, b := range l.Build {
		name, _, _ := strings.Cut(b, "=")
		built = append(built, name)
	}
	if !slices.Equal(built, dist.Sources.Packages) {
		return fmt.Errorf("%w: the sources to build were changed: make the lock anew (debian lock)", ErrStale)
	}
	return nil
}

// Encode returns the selection as JSON.
func (s *Selection) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// LoadSelection reads and checks the selection in the file at path.
func LoadSelection(path string) (*Selection, error) { return load("selection", path, ParseSelection) }

// ParseSelection reads a selection; like a lock it has one spelling.
func ParseSelection(text []byte) (*Selection, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrInvalid, MaxSize)
	}
	s := &Selection{}
	if err := strict(text, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if s.Format != SelectionFormat {
		return nil, fmt.Errorf("%w: format is %.60q, this program reads %q", ErrInvalid, s.Format, SelectionFormat)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	again, err := s.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, fmt.Errorf("%w: line %d is not as the select program writes it", ErrInvalid, firstDifference(text, again))
	}
	return s, nil
}

func (s *Selection) check() error {
	for i, p := range s.Packages {
		if i > 0 && s.Packages[i-1].Name >= p.Name {
			return fmt.Errorf("package %q is out of order", p.Name)
		}
		if !archive.ValidName(p.Name) || !archive.ValidVersion(p.Version) || !archive.ValidArchitecture(p.Architecture) {
			return fmt.Errorf("package %q, version %q, architecture %q", p.Name, p.Version, p.Architecture)
		}
		if err := checkFile(p.Path, p.SHA256, p.Size); err != nil {
			return fmt.Errorf("package %s: %w", p.Name, err)
		}
	}
	if s.Source != nil {
		if !archive.ValidName(s.Source.Name) || !archive.ValidVersion(s.Source.Version) {
			return errors.New("source: name or version")
		}
		for _, f := range s.Source.Files {
			if err := checkFile(f.Path, f.SHA256, f.Size); err != nil {
				return fmt.Errorf("source %s: %w", s.Source.Name, err)
			}
		}
	}
	return nil
}
