package definition

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
)

// Distribution is a table [distribution.NAME]: an apt archive and what is taken
// from it.
type Distribution struct {
	// Name is the table's name.
	Name         string             `toml:"-"`
	Architecture string             `toml:"architecture"`
	Archives     map[string]Archive `toml:"archives"`
	Suites       []Suite            `toml:"suites"`
	Sets         map[string]Set     `toml:"sets"`
	Sources      Sources            `toml:"sources"`
	Firmware     Firmware           `toml:"firmware"`
}

// Firmware says which firmware the built-in drivers get. Its packages and paths
// count as those of the sets that it names.
type Firmware struct {
	Sets     []string `toml:"sets"`
	Packages []string `toml:"packages"`
	Paths    []string `toml:"paths"`
	// Without are names that drivers ask for and do not get.
	Without []string `toml:"without"`
}

// Archive is a tree of dists/ and pool/.
type Archive struct {
	// Home is the permanent home of the archive's files: a URL that ends in a
	// slash, in which {timestamp} stands for a moment (20060102T150405Z).
	Home string `toml:"home"`
	// HomeDelay is added to the Date of the newest locked Release to get that
	// moment.
	HomeDelay Duration `toml:"home-delay"`
}

// Suite is a Release of an archive.
type Suite struct {
	Name       string   `toml:"name"`
	Archive    string   `toml:"archive"`
	Components []string `toml:"components"`
	// Keys are files of OpenPGP public keys, relative to the definition.
	Keys []string `toml:"keys"`
	// Signers are the fingerprints of the primary keys that may sign.
	Signers []string `toml:"signers"`
}

// Bases of a package set.
const (
	// BaseEssential: a root file system, with every Essential package.
	BaseEssential = "essential"
	// BaseNone: packages to unpack, with their dependencies.
	BaseNone = "none"
)

// Set is a named set of packages.
type Set struct {
	Base     string   `toml:"base"`
	Packages []string `toml:"packages"`
	// Exclude names packages that are taken out of the solution.
	Exclude []string `toml:"exclude"`
	// Paths filter what is unpacked: "-PATTERN" leaves out, "+PATTERN" takes
	// in again; the last match decides.
	Paths []string `toml:"paths"`
	// Omit names packages that the lock has in the set and that are left out,
	// because a switch is off.
	Omit []string `toml:"-"`
}

// Sources names the source packages that are built.
type Sources struct {
	Packages []string `toml:"packages"`
}

// Duration is a time.Duration written as a string ("12h").
type Duration struct{ time.Duration }

// UnmarshalText reads Go's notation for durations.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	d.Duration = v
	return nil
}

var (
	namePattern        = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	packagePattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{0,127}$`)
	suitePattern       = regexp.MustCompile(`^[a-z0-9][a-z0-9./-]{0,63}$`)
	fingerprintPattern = regexp.MustCompile(`^[0-9A-F]{40}$`)
)

func (d *Distribution) check() error {
	if !namePattern.MatchString(d.Name) {
		return fmt.Errorf("name %q is not lower-case letters, digits and dashes", d.Name)
	}
	if !namePattern.MatchString(d.Architecture) {
		return fmt.Errorf("architecture %q is not a Debian architecture", d.Architecture)
	}
	if len(d.Suites) == 0 {
		return fmt.Errorf("no suites")
	}
	for name, archive := range d.Archives {
		if err := archive.check(name); err != nil {
			return fmt.Errorf("archives.%s: %w", name, err)
		}
	}
	seen := map[string]bool{}
	for _, suite := range d.Suites {
		if seen[suite.Name] {
			return fmt.Errorf("suite %s stands there twice", suite.Name)
		}
		seen[suite.Name] = true
		if err := suite.check(d.Archives); err != nil {
			return fmt.Errorf("suite %q: %w", suite.Name, err)
		}
	}
	for name, set := range d.Sets {
		if err := set.check(name); err != nil {
			return fmt.Errorf("sets.%s: %w", name, err)
		}
	}
	if err := d.Firmware.check(d.Sets); err != nil {
		return fmt.Errorf("firmware: %w", err)
	}
	return checkPackages("sources.packages", d.Sources.Packages)
}

func (f *Firmware) check(sets map[string]Set) error {
	for _, name := range f.Sets {
		if _, ok := sets[name]; !ok {
			return fmt.Errorf("set %q has no table", name)
		}
	}
	if err := checkPaths(f.Paths); err != nil {
		return err
	}
	return checkPackages("packages", f.Packages)
}

// furnish adds the firmware to its sets. Where it is off its packages, which
// nothing depends on, stay in the lock and are left out.
func (d *Distribution) furnish(on bool) {
	for _, name := range d.Firmware.Sets {
		set := d.Sets[name]
		set.Packages = append(slices.Clone(set.Packages), d.Firmware.Packages...)
		slices.Sort(set.Packages)
		set.Packages = slices.Compact(set.Packages)
		if on {
			set.Paths = append(slices.Clone(set.Paths), d.Firmware.Paths...)
		} else {
			set.Omit = d.Firmware.Packages
		}
		d.Sets[name] = set
	}
}

func (a *Archive) check(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("the name is not lower-case letters, digits and dashes")
	}
	u, err := url.Parse(strings.ReplaceAll(a.Home, "{timestamp}", "0"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || !strings.HasSuffix(a.Home, "/") {
		return fmt.Errorf("home %q is not an http URL that ends in a slash", a.Home)
	}
	if a.HomeDelay.Duration < 0 || a.HomeDelay.Duration > 7*24*time.Hour {
		return fmt.Errorf("home-delay %s is not between 0 and 168h", a.HomeDelay.Duration)
	}
	return nil
}

func (s *Suite) check(archives map[string]Archive) error {
	if !suitePattern.MatchString(s.Name) || strings.Contains(s.Name, "..") {
		return fmt.Errorf("not a suite name")
	}
	if _, ok := archives[s.Archive]; !ok {
		return fmt.Errorf("archive %q has no table", s.Archive)
	}
	if len(s.Components) == 0 || len(s.Keys) == 0 || len(s.Signers) == 0 {
		return fmt.Errorf("components, keys and signers must all be given")
	}
	for _, c := range s.Components {
		if !namePattern.MatchString(c) {
			return fmt.Errorf("component %q is not a name", c)
		}
	}
	for _, f := range s.Signers {
		if !fingerprintPattern.MatchString(f) {
			return fmt.Errorf("signer %q is not a fingerprint of 40 upper-case hexadecimal digits", f)
		}
	}
	return nil
}

func (s *Set) check(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("the name is not lower-case letters, digits and dashes")
	}
	if s.Base != BaseEssential && s.Base != BaseNone {
		return fmt.Errorf("base %q is neither %q nor %q", s.Base, BaseEssential, BaseNone)
	}
	if s.Base == BaseEssential && len(s.Exclude) > 0 {
		return fmt.Errorf("exclude is for sets that are only unpacked (base %q)", BaseNone)
	}
	if len(s.Packages) == 0 {
		return fmt.Errorf("no packages")
	}
	if err := checkPaths(s.Paths); err != nil {
		return err
	}
	if err := checkPackages("packages", s.Packages); err != nil {
		return err
	}
	return checkPackages("exclude", s.Exclude)
}

func checkPaths(paths []string) error {
	for _, p := range paths {
		if len(p) < 3 || (p[0] != '-' && p[0] != '+') || p[1] != '/' {
			return fmt.Errorf("path %q is not \"-/pattern\" or \"+/pattern\"", p)
		}
	}
	return nil
}

// checkPackages wants package names, sorted and each once, so that the file
// stays easy to compare.
func checkPackages(key string, names []string) error {
	if !sort.StringsAreSorted(names) {
		return fmt.Errorf("%s is not sorted", key)
	}
	for i, n := range names {
		if !packagePattern.MatchString(n) {
			return fmt.Errorf("%s: %q is not a package name", key, n)
		}
		if i > 0 && names[i-1] == n {
			return fmt.Errorf("%s: %s stands there twice", key, n)
		}
	}
	return nil
}
