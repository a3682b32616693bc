package component

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/mastercard/mangos/compare/content"
)

// Package is an installed package.
type Package struct {
	Name, Architecture, Version string
	Source, SourceVersion       string
}

// Owners tells which package owns a path, by dpkg's database.
type Owners struct {
	packages []Package
	index    map[string]int   // name:architecture
	files    map[string]int32 // absolute path
	links    map[string]string
}

const (
	maxStatus   = 64 << 20 // bytes of the status file
	maxList     = 16 << 20 // bytes of one package's list
	maxPackages = 50_000
	maxFiles    = 2_000_000
)

// files is the part of a file system that the database is read from.
type files interface {
	open(name string) (content.Content, error)
	list(name string) ([]string, error)
	isLink(name string) (string, error)
}

// Databases are where dpkg's database may lie in an image.
var databases = []string{"usr/lib/dpkg-db", "var/lib/dpkg"}

// readOwners reads the database of an image. An image without one gives nil.
func readOwners(fs files) (*Owners, error) {
	for _, dir := range databases {
		status, err := fs.open(dir + "/status")
		if err != nil {
			return nil, fmt.Errorf("dpkg database: %w", err)
		}
		if status == nil {
			continue
		}
		o := &Owners{index: map[string]int{}, files: map[string]int32{}, links: map[string]string{}}
		if err := o.readStatus(status); err != nil {
			return nil, fmt.Errorf("dpkg database: %w", err)
		}
		if err := o.readLists(fs, dir+"/info"); err != nil {
			return nil, fmt.Errorf("dpkg database: %w", err)
		}
		return o, nil
	}
	return nil, nil
}

// readStatus reads the stanzas of installed packages (deb822(5)).
func (o *Owners) readStatus(c content.Content) error {
	if c.Size() > maxStatus {
		return fmt.Errorf("status of %d bytes: %w", c.Size(), ErrLimit)
	}
	var p Package
	installed := false
	flush := func() {
		if p.Name != "" && installed {
			if p.Source == "" {
				p.Source = p.Name
			}
			if p.SourceVersion == "" {
				p.SourceVersion = p.Version
			}
			o.index[p.Name] = len(o.packages)
			o.index[p.Name+":"+p.Architecture] = len(o.packages)
			o.packages = append(o.packages, p)
		}
		p, installed = Package{}, false
	}
	err := eachLine(c, func(line string) error {
		if line == "" {
			flush()
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Package":
			p.Name = value
		case "Architecture":
			p.Architecture = value
		case "Version":
			p.Version = value
		case "Status":
			installed = strings.HasSuffix(value, " installed")
		case "Source":
			var version string
			p.Source, version, _ = strings.Cut(value, " ")
			p.SourceVersion = strings.Trim(version, "()")
		}
		if len(o.packages) > maxPackages {
			return fmt.Errorf("more than %d packages: %w", maxPackages, ErrLimit)
		}
		return nil
	})
	flush()
	return err
}

func (o *Owners) readLists(fs files, dir string) error {
	names, err := fs.list(dir)
	if err != nil {
		return err
	}
	for _, top := range []string{"/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"} {
		target, err := fs.isLink(top)
		if err != nil {
			return err
		}
		if target != "" {
			o.links[top] = "/" + strings.Trim(target, "/")
		}
	}
	for _, name := range names {
		pkg, ok := strings.CutSuffix(name, ".list")
		k, known := o.index[pkg]
		if !ok || !known {
			continue
		}
		c, err := fs.open(dir + "/" + name)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		if c.Size() > maxList {
			return fmt.Errorf("%s of %d bytes: %w", name, c.Size(), ErrLimit)
		}
		err = eachLine(c, func(line string) error {
			if len(o.files) > maxFiles {
				return fmt.Errorf("more than %d files: %w", maxFiles, ErrLimit)
			}
			if line != "" && line != "/." {
				o.files[o.canonical(line)] = int32(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, suffix := range []string{".list", ".md5sums", ".conffiles", ".postinst", ".preinst", ".prerm", ".postrm", ".triggers", ".symbols", ".shlibs", ".templates", ".config"} {
			o.files["/"+dir+"/"+pkg+suffix] = int32(k)
		}
	}
	return nil
}

// canonical follows the links of a merged /usr, which packages' own lists
// still ignore.
func (o *Owners) canonical(name string) string {
	rest := strings.TrimPrefix(name, "/")
	top, below, _ := strings.Cut(rest, "/")
	if target, ok := o.links["/"+top]; ok {
		if below == "" {
			return name
		}
		return target + "/" + below
	}
	return name
}

// Owner is the package that owns the absolute path.
func (o *Owners) Owner(name string) (Package, bool) {
	if o == nil {
		return Package{}, false
	}
	k, ok := o.files[name]
	if !ok {
		return Package{}, false
	}
	return o.packages[k], true
}

// Package is the installed package with the name and architecture.
func (o *Owners) Package(name, architecture string) (Package, bool) {
	if o == nil {
		return Package{}, false
	}
	k, ok := o.index[name+":"+architecture]
	if !ok {
		return Package{}, false
	}
	return o.packages[k], true
}

// Packages lists all installed packages in the order of the database.
func (o *Owners) Packages() []Package {
	if o == nil {
		return nil
	}
	return o.packages
}

// Database reports whether the path lies in dpkg's database.
func Database(name string) bool {
	for _, dir := range databases {
		if strings.HasPrefix(name, "/"+dir+"/") {
			return true
		}
	}
	return false
}

// eachLine calls f with each line, of at most 1 MiB.
func eachLine(c content.Content, f func(string) error) error {
	s := bufio.NewScanner(struct{ io.Reader }{content.Reader(c)})
	s.Buffer(make([]byte, 64<<10), 1<<20)
	for s.Scan() {
		if err := f(s.Text()); err != nil {
			return err
		}
	}
	return s.Err()
}
