// Package dpkg reads dpkg's database in a file system that is not the running
// one: which packages are installed, which of them owns a path, and with which
// content it came (dpkg(1), deb822(5), dpkg-divert(1)).
//
// What is read may be hostile: all of it is bounded.
package dpkg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Limits of a database.
const (
	MaxFile     = 64 << 20 // bytes of one of its files
	maxPackages = 50_000
	maxFiles    = 2_000_000
)

// ErrLimit says that a database is larger than any sensible one.
var ErrLimit = errors.New("dpkg database is too large")

// Files is the file system that a database lies in. Names are relative to its
// root.
type Files interface {
	// ReadFile returns the content of a regular file of at most limit bytes; the
	// error is fs.ErrNotExist where there is none of that name.
	ReadFile(name string, limit int64) ([]byte, error)
	// List returns the names in a folder, none where there is no such folder.
	List(name string) ([]string, error)
	// Readlink returns the target of a symbolic link, "" where there is none.
	Readlink(name string) (string, error)
}

// Package is a package that is installed, or at least unpacked. Where it was built from a source of the same
// name and version, Source and SourceVersion say so all the same.
type Package struct {
	Name, Architecture, Version string
	Source, SourceVersion       string
}

// Database tells what is installed. A nil Database knows nothing.
type Database struct {
	// Dir is where it lies, relative to the root.
	Dir        string
	packages   []Package
	index      map[string]int    // name, and name:architecture
	files      map[string]int32  // absolute path to package
	links      map[string]string // of a merged /usr, absolute
	conffiles  map[string]string // absolute path to MD5
	diversions map[string]diversion
}

// places are where the database may lie.
var places = []string{"usr/lib/dpkg-db", "var/lib/dpkg"}

// Read reads the database of a file system; nil where it has none.
func Read(files Files) (*Database, error) {
	for _, dir := range places {
		status, err := files.ReadFile(dir+"/status", MaxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("dpkg database: %w", err)
		}
		d := New()
		d.Dir = dir
		for _, read := range []func() error{
			func() error { return d.readLinks(files) },
			func() error { return d.readStatus(status) },
			func() error { return d.readDiversions(files) },
			func() error { return d.readLists(files) },
		} {
			if err := read(); err != nil {
				return nil, fmt.Errorf("dpkg database: %w", err)
			}
		}
		return d, nil
	}
	return nil, nil
}

// New is a database that is told what is installed by [Database.Add] and
// [Database.Own].
func New() *Database {
	return &Database{
		index: map[string]int{}, files: map[string]int32{}, links: map[string]string{},
		conffiles: map[string]string{}, diversions: map[string]diversion{},
	}
}

// Add adds an installed package.
func (d *Database) Add(p Package) {
	d.index[p.Name] = len(d.packages)
	d.index[p.Name+":"+p.Architecture] = len(d.packages)
	d.packages = append(d.packages, p)
}

// Own says that the absolute path belongs to a package that was added.
func (d *Database) Own(name string, p Package) {
	if k, ok := d.index[p.Name+":"+p.Architecture]; ok {
		d.files[name] = int32(k)
	}
}

// readLinks finds the links of a merged /usr.
func (d *Database) readLinks(files Files) error {
	for _, top := range []string{"bin", "sbin", "lib", "lib64", "lib32", "libx32"} {
		target, err := files.Readlink(top)
		if err != nil {
			return err
		}
		if target != "" {
			d.links[top] = "/" + strings.Trim(target, "/")
		}
	}
	return nil
}

// readStatus reads the paragraphs of the packages whose files are there.
func (d *Database) readStatus(text []byte) error {
	var p Package
	installed, inConffiles := false, false
	flush := func() {
		if p.Name != "" && installed {
			if p.Source == "" {
				p.Source = p.Name
			}
			if p.SourceVersion == "" {
				p.SourceVersion = p.Version
			}
			d.Add(p)
		}
		p, installed = Package{}, false
	}
	err := eachLine(text, func(line string) error {
		if strings.HasPrefix(line, " ") {
			if words := strings.Fields(line); inConffiles && len(words) >= 2 {
				d.conffiles[d.canonical(words[0])] = words[1]
			}
			return nil
		}
		if line == "" {
			flush()
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		inConffiles = key == "Conffiles"
		switch key {
		case "Package":
			p.Name = value
		case "Architecture":
			p.Architecture = value
		case "Version":
			p.Version = value
		case "Status":
			installed = strings.HasSuffix(value, " installed") || strings.HasSuffix(value, " unpacked")
		case "Source":
			var version string
			p.Source, version, _ = strings.Cut(value, " ")
			p.SourceVersion = strings.Trim(version, "()")
		}
		if len(d.packages) > maxPackages {
			return fmt.Errorf("more than %d packages: %w", maxPackages, ErrLimit)
		}
		return nil
	})
	flush()
	return err
}

// controlFiles are what a package brings for the database itself.
var controlFiles = []string{
	".list", ".md5sums", ".conffiles", ".postinst", ".preinst", ".prerm", ".postrm",
	".triggers", ".symbols", ".shlibs", ".templates", ".config",
}

func (d *Database) readLists(files Files) error {
	info := d.Dir + "/info"
	names, err := files.List(info)
	if err != nil {
		return err
	}
	for _, name := range names {
		pkg, ok := strings.CutSuffix(name, ".list")
		k, known := d.index[pkg]
		if !ok || !known {
			continue
		}
		text, err := files.ReadFile(info+"/"+name, MaxFile)
		if err != nil {
			return err
		}
		err = eachLine(text, func(line string) error {
			if len(d.files) > maxFiles {
				return fmt.Errorf("more than %d files: %w", maxFiles, ErrLimit)
			}
			if to, ok := d.diversions[line]; ok && to.by != d.packages[k].Name {
				line = to.to
			}
			if line != "" && line != "/." {
				d.files[d.canonical(line)] = int32(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, suffix := range controlFiles {
			d.files["/"+info+"/"+pkg+suffix] = int32(k)
		}
	}
	return nil
}

// diversion says who has taken a name, and where the files of others went.
type diversion struct{ to, by string }

// readDiversions reads three lines each: the name, where it went, who took it.
func (d *Database) readDiversions(files Files) error {
	text, err := files.ReadFile(d.Dir+"/diversions", MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var lines []string
	if err := eachLine(text, func(line string) error { lines = append(lines, line); return nil }); err != nil {
		return err
	}
	for ; len(lines) >= 3; lines = lines[3:] {
		d.diversions[lines[0]] = diversion{lines[1], lines[2]}
	}
	return nil
}

// canonical follows the links of a merged /usr, which packages' own lists still
// ignore.
func (d *Database) canonical(name string) string {
	top, below, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if target, ok := d.links[top]; ok && below != "" {
		return target + "/" + below
	}
	return name
}

// Owner is the package that owns the absolute path, which may lead over the links
// of a merged /usr.
func (d *Database) Owner(name string) (Package, bool) {
	if d == nil {
		return Package{}, false
	}
	k, ok := d.files[d.canonical(name)]
	if !ok {
		return Package{}, false
	}
	return d.packages[k], true
}

// Package is the installed package with the name and architecture.
func (d *Database) Package(name, architecture string) (Package, bool) {
	if d == nil {
		return Package{}, false
	}
	k, ok := d.index[name+":"+architecture]
	if !ok {
		return Package{}, false
	}
	return d.packages[k], true
}

// Packages lists the installed packages in the order of the database.
func (d *Database) Packages() []Package {
	if d == nil {
		return nil
	}
	return d.packages
}

// Sums returns the MD5, lower-case hexadecimal, with which packages brought
// files, by their absolute paths. Not every package tells them.
func (d *Database) Sums(files Files) (map[string]string, error) {
	sums := map[string]string{}
	for name, sum := range d.conffiles {
		sums[name] = sum
	}
	info := d.Dir + "/info"
	names, err := files.List(info)
	if err != nil {
		return nil, fmt.Errorf("dpkg database: %w", err)
	}
	for _, name := range names {
		if path.Ext(name) != ".md5sums" {
			continue
		}
		text, err := files.ReadFile(info+"/"+name, MaxFile)
		if err != nil {
			return nil, fmt.Errorf("dpkg database: %w", err)
		}
		err = eachLine(text, func(line string) error {
			if sum, file, ok := strings.Cut(line, "  "); ok && len(sum) == 32 {
				sums[d.canonical("/"+file)] = sum
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("dpkg database: %s: %w", name, err)
		}
	}
	return sums, nil
}

// Contains reports whether the absolute path lies in a database.
func Contains(name string) bool {
	for _, dir := range places {
		if strings.HasPrefix(name, "/"+dir+"/") {
			return true
		}
	}
	return false
}

// eachLine calls f with each line, of at most 1 MiB.
func eachLine(text []byte, f func(string) error) error {
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if err := f(s.Text()); err != nil {
			return err
		}
	}
	return s.Err()
}
