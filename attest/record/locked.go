package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/attest/purl"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// Package is one file of the distribution, as the lock knows it.
type Package struct {
	Name, Version, Architecture string // Architecture "source" for sources
	Archive, Path, SHA256       string
	Size                        int64
	Distribution                string
}

// Index finds locked files by the SHA-256 of their content.
type Index struct {
	bySHA256   map[string]Package
	selections map[string]*lock.Selection
}

// NewIndex makes an index of the files of selections.
func NewIndex(selections ...*lock.Selection) *Index {
	x := &Index{bySHA256: map[string]Package{}, selections: map[string]*lock.Selection{}}
	for _, s := range selections {
		for _, p := range Packages(s) {
			x.bySHA256[p.SHA256] = p
		}
	}
	return x
}

// add adds selections, which are known by their names from then on.
func (x *Index) add(selections map[string]*lock.Selection) {
	for name, s := range selections {
		x.selections[name] = s
		for _, p := range Packages(s) {
			x.bySHA256[p.SHA256] = p
		}
	}
}

func (x *Index) find(digest string) (Package, bool) {
	p, ok := x.bySHA256[digest]
	return p, ok
}

// loadSelections reads the selections in a folder, which may be absent, by the
// names of their files without ".json".
func loadSelections(folder string) (map[string]*lock.Selection, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	selections := map[string]*lock.Selection{}
	for _, f := range files {
		s, err := lock.LoadSelection(f)
		if err != nil {
			return nil, err
		}
		selections[strings.TrimSuffix(filepath.Base(f), ".json")] = s
	}
	return selections, nil
}

// Packages lists the files of a selection, source files included.
func Packages(s *lock.Selection) []Package {
	var list []Package
	for _, p := range s.Packages {
		list = append(list, Package{
			Name: p.Name, Version: p.Version, Architecture: p.Architecture, Archive: p.Archive,
			Path: p.Path, SHA256: p.SHA256, Size: p.Size, Distribution: s.Distribution,
		})
	}
	if s.Source != nil {
		for _, f := range s.Source.Files {
			list = append(list, Package{
				Name: s.Source.Name, Version: s.Source.Version, Architecture: "source", Archive: s.Source.Archive,
				Path: f.Path, SHA256: f.SHA256, Size: f.Size, Distribution: s.Distribution,
			})
		}
	}
	return list
}

// LockedName is the name of a locked file in records and statements.
func LockedName(archive, path string) string { return "locked/" + archive + "/" + path }

// Item is the package as an input.
func (p Package) item(size int64, use string) Item {
	return Item{
		Name: LockedName(p.Archive, p.Path), SHA256: p.SHA256, Size: size, Use: use,
		URI: purl.Deb(p.Distribution, p.Name, p.Version, p.Architecture),
	}
}

// Items lists every file of a lock, as steps that use it name it.
func Items(l *lock.Lock) []Item {
	archives := map[string]string{}
	for _, s := range l.Suites {
		archives[s.Name] = s.Archive
	}
	var items []Item
	for _, p := range l.Packages {
		items = append(items, Package{
			Name: p.Name, Version: p.Version, Architecture: p.Architecture, Archive: archives[p.Suite],
			Path: p.Path, SHA256: p.SHA256, Distribution: l.Distribution,
		}.item(p.Size, ""))
	}
	for _, s := range l.Sources {
		for _, f := range s.Files {
			items = append(items, Package{
				Name: s.Name, Version: s.Version, Architecture: "source", Archive: archives[s.Suite],
				Path: f.Path, SHA256: f.SHA256, Distribution: l.Distribution,
			}.item(f.Size, ""))
		}
	}
	return items
}

// container claims the container's packages as tools, after it has made sure
// that dpkg's database lists exactly those of the selection.
func (p *Plan) container() ([]Item, error) {
	selection, ok := p.Index.selections[p.Container]
	if !ok {
		return nil, fmt.Errorf("%w: there is no selection %q among the inputs", ErrContainer, p.Container)
	}
	f, err := os.Open(p.Status)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	defer f.Close()
	installed, err := readStatus(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContainer, p.Status, err)
	}
	var items []Item
	for _, p := range Packages(selection) {
		version, ok := installed[p.Name]
		if !ok || version != p.Version {
			return nil, fmt.Errorf("%w: package %s %s is not installed (found %q)", ErrContainer, p.Name, p.Version, version)
		}
		delete(installed, p.Name)
		items = append(items, p.item(p.Size, Tool))
	}
	for name, version := range installed {
		return nil, fmt.Errorf("%w: package %s %s is installed, but not selected", ErrContainer, name, version)
	}
	return items, nil
}

// readStatus reads names and versions of the installed packages from dpkg's
// status file.
func readStatus(r io.Reader) (map[string]string, error) {
	installed := map[string]string{}
	var name, version string
	var in bool
	flush := func() error {
		if !in {
			name, version = "", ""
			return nil
		}
		if name == "" || version == "" {
			return errors.New("an entry without name or version")
		}
		if _, twice := installed[name]; twice {
			return fmt.Errorf("package %q stands there twice", name)
		}
		installed[name] = version
		name, version, in = "", "", false
		return nil
	}
	s := bufio.NewScanner(io.LimitReader(r, 64<<20))
	s.Buffer(make([]byte, 64<<10), 1<<20)
	for s.Scan() {
		line := s.Text()
		if line == "" {
			if err := flush(); err != nil {
				return nil, err
			}
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); key {
		case "Package":
			name = value
		case "Version":
			version = value
		case "Status":
			in = strings.HasSuffix(value, " installed")
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	return installed, flush()
}
