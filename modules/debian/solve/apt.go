package solve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/deb"
	"github.com/mastercard/mangos/modules/debian/enter"
	"github.com/mastercard/mangos/modules/debian/fetch"
)

// Apt is an unpacked apt that knows an Index.
type Apt struct {
	index *Index
	root  enter.Root
}

// config keeps apt to the local copy: no recommendations, no translations, no
// other user, no look at the clock (the Releases were checked).
const config = `APT::Architecture "%s";
APT::Architectures { "%s"; };
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Dir::State::status "/solve/status";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "/solve/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
`

// NewApt unpacks apt into the empty folder dir and shows it the index; apt runs
// through the program sandbox.
func NewApt(ctx context.Context, x *Index, f *fetch.Fetcher, dir, sandbox string) (*Apt, error) {
	a := &Apt{index: x, root: enter.Root{Dir: dir, Sandbox: sandbox, Env: []string{
		"LC_ALL=C", "APT_CONFIG=/solve/apt.conf",
	}}}
	if err := a.unpack(ctx, f); err != nil {
		return nil, fmt.Errorf("set up apt: %w", err)
	}
	if err := a.configure(); err != nil {
		return nil, fmt.Errorf("set up apt: %w", err)
	}
	if err := a.update(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// unpack puts apt, and what every package may take for granted, into the folder.
func (a *Apt) unpack(ctx context.Context, f *fetch.Fetcher) error {
	essential, err := a.index.Essential()
	if err != nil {
		return err
	}
	packages, err := a.index.closure(append([]string{"apt", "base-files"}, essential...))
	if err != nil {
		return err
	}
	// base-files first: it brings the links /bin, /lib and /sbin.
	slices.SortStableFunc(packages, func(p, q Candidate) int { return first(p) - first(q) })
	files := make([]fetch.File, len(packages))
	for i, p := range packages {
		files[i] = p.Fetch()
	}
	if err := f.Into(ctx, files, filepath.Join(a.root.Dir, "solve/packages")); err != nil {
		return err
	}
	names := make([]string, len(packages))
	for i, p := range packages {
		names[i] = filepath.Join(a.root.Dir, "solve/packages", filepath.Base(p.File.Path))
	}
	_, err = deb.Unpack(names, a.root.Dir, deb.Filter{})
	return err
}

func first(c Candidate) int {
	if c.Name == "base-files" {
		return 0
	}
	return 1
}

// Fetch returns the candidate's package file.
func (c Candidate) Fetch() fetch.File {
	return fetch.File{
		Name: c.Name + " " + c.Version, Archive: c.Archive,
		Path: c.File.Path, Size: c.File.Size, SHA256: c.File.SHA256,
	}
}

func (a *Apt) configure() error {
	arch := a.index.architecture
	var list bytes.Buffer
	for _, s := range a.index.suites {
		names := make([]string, len(s.Components))
		for i, c := range s.Components {
			names[i] = c.Name
		}
		fmt.Fprintf(&list, "deb [trusted=yes arch=%s] file:/solve/archive/%s %s %s\n", arch, s.Archive, s.Name, strings.Join(names, " "))
	}
	return writeAll(a.root.Dir, map[string][]byte{
		"solve/apt.conf":                       fmt.Appendf(nil, config, arch, arch),
		"solve/sources.list":                   list.Bytes(),
		"solve/status":                         nil,
		"dev/null":                             nil,
		"var/lib/apt/lists/partial/.keep":      nil,
		"var/cache/apt/archives/partial/.keep": nil,
		"var/lib/dpkg/status":                  nil,
	})
}

// update writes the local copy of the indexes, without what is withheld, and lets
// apt read it. Its Releases keep what steers apt's choice.
func (a *Apt) update(ctx context.Context) error {
	for _, s := range a.index.suites {
		var sums bytes.Buffer
		files := map[string][]byte{}
		names := make([]string, len(s.Components))
		for i, c := range s.Components {
			names[i] = c.Name
			text, err := a.index.without(c.Packages)
			if err != nil {
				return err
			}
			path := c.Name + "/binary-" + a.index.architecture + "/Packages"
			fmt.Fprintf(&sums, " %x %d %s\n", sha256.Sum256(text), len(text), path)
			files[path] = text
		}
		r := s.Release
		var b bytes.Buffer
		fmt.Fprintf(&b, "Origin: %s\nLabel: %s\nSuite: %s\nVersion: %s\nCodename: %s\n", r.Origin, r.Label, r.Suite, r.Version, r.Codename)
		fmt.Fprintf(&b, "Date: %s\nNotAutomatic: %s\nButAutomaticUpgrades: %s\n", r.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"), yes(r.NotAutomatic), yes(r.ButAutomaticUpgrades))
		fmt.Fprintf(&b, "Architectures: %s\nComponents: %s\nSHA256:\n%s", a.index.architecture, strings.Join(names, " "), sums.Bytes())
		files["Release"] = b.Bytes()
		dir := filepath.Join(a.root.Dir, "solve/archive", s.Archive, "dists", s.Name)
		if err := writeAll(dir, files); err != nil {
			return err
		}
	}
	if _, err := a.root.Run(ctx, "/usr/bin/apt-get", "update"); err != nil {
		return fmt.Errorf("show apt the indexes: %w", err)
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// without returns an index less the packages that are withheld.
func (x *Index) without(index []byte) ([]byte, error) {
	if len(x.withheld) == 0 {
		return index, nil
	}
	packages, err := archive.Packages(index)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, p := range packages {
		if !x.withheld[p.File.Path] {
			out = append(out, index[p.Start:p.End]...)
		}
	}
	return out, nil
}

func writeAll(dir string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Solve returns what apt would install for the packages named, sorted by name.
func (a *Apt) Solve(ctx context.Context, names []string) ([]Candidate, error) {
	argv := append([]string{"/usr/bin/apt-get", "--simulate", "--no-install-recommends", "-q", "install", "--"}, names...)
	out, err := a.root.Run(ctx, argv...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsolvable, err)
	}
	picks, err := parseSimulation(out)
	if err != nil {
		return nil, err
	}
	var list []Candidate
	for _, p := range picks {
		c, err := a.index.Find(p.name, p.version)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(p, q Candidate) int { return strings.Compare(p.Name, q.Name) })
	return list, nil
}

type pick struct{ name, version string }

// instPattern is a line of apt's simulation:
// Inst name (version origin:suite [arch])
var instPattern = regexp.MustCompile(`^Inst (\S+) \((\S+) [^()]*\[(\S+)\]\)( \[.*\])?$`)

// parseSimulation reads what `apt-get --simulate` printed.
func parseSimulation(out []byte) ([]pick, error) {
	var picks []pick
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n ")
		if strings.HasPrefix(line, "Remv ") || strings.HasPrefix(line, "Purg ") {
			return nil, fmt.Errorf("%w: apt wants to remove: %.200q", ErrUnsolvable, line)
		}
		if !strings.HasPrefix(line, "Inst ") {
			continue
		}
		m := instPattern.FindStringSubmatch(line)
		if m == nil || !archive.ValidName(m[1]) || !archive.ValidVersion(m[2]) {
			return nil, fmt.Errorf("%w: apt's line makes no sense: %.200q", ErrUnsolvable, line)
		}
		if seen[m[1]] {
			return nil, fmt.Errorf("%w: apt installs %s twice", ErrUnsolvable, m[1])
		}
		seen[m[1]] = true
		picks = append(picks, pick{m[1], m[2]})
	}
	if len(picks) == 0 {
		return nil, fmt.Errorf("%w: apt installs nothing", ErrUnsolvable)
	}
	return picks, nil
}
