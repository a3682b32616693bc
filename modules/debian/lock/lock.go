// Package lock holds the format of debian.lock.json: which files of an apt
// archive mangos is made of, each named by its SHA-256.
//
// A lock has one spelling. Encode writes it, sorted, a package a line, so that a
// change is easy to review; Parse refuses whatever Encode would have written in
// another way: unknown or doubled keys, other orders, other spaces.
package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/debian/archive"
)

// Format is the value of a lock's first key. It changes with the format.
const Format = "mangos-debian-lock-1"

// MaxSize is the largest lock that is read, in bytes.
const MaxSize = 64 << 20

var (
	// ErrInvalid is wrapped by every error about a lock's content.
	ErrInvalid = errors.New("invalid lock")
	// ErrStale says that the definition asks for something else than the lock
	// was made for.
	ErrStale = errors.New("lock does not fit the definition")
)

// Lock is the whole of debian.lock.json.
type Lock struct {
	Format       string
	Distribution string
	Architecture string
	// SourceDateEpoch is the Date of the newest Release, in seconds.
	SourceDateEpoch int64
	Archives        []Archive
	Suites          []Suite
	Sets            []Set
	Packages        []Package
	Sources         []Source
	// Build names the sources that are built, as "name=version".
	Build []string
	// Withheld names what the indexes offer but no server had when the lock
	// was made, as "name=version" or "src:name=version": something older stands
	// in the lock for it. See Notices.
	Withheld []string
}

// Archive is a tree of dists/ and pool/.
type Archive struct {
	Name string `json:"name"`
	// Home is the URL where the archive's locked files can be had for good.
	Home string `json:"home"`
}

// Suite is a verified Release.
type Suite struct {
	Name    string `json:"name"`
	Archive string `json:"archive"`
	Date    string `json:"date"` // RFC 3339, UTC
	// Release is the SHA-256 of the signed text.
	Release string `json:"release"`
	// Signers are the fingerprints of the listed keys that signed it.
	Signers []string `json:"signers"`
	Indexes []Index  `json:"indexes"`
	// Signed is the Release as it was signed, by the names of its files, each
	// compressed with zstd, in base64: with it the lock shows by itself what the
	// distribution said. See Keep and Kept.
	Signed map[string]string `json:"signed,omitempty"`
}

// Index is an index that the Release names and that was read.
type Index struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Set is a solved package set.
type Set struct {
	Name string `json:"name"`
	Base string `json:"base"`
	// Request and Exclude are what the definition says.
	Request []string `json:"request"`
	Exclude []string `json:"exclude,omitempty"`
	// Packages are the names of the solution.
	Packages []string `json:"packages"`
}

// Package is a binary package. A lock holds one version of each name.
type Package struct {
	Name          string `json:"name"`
	Version       string `json:"version"`
	Architecture  string `json:"arch"`
	Suite         string `json:"suite"`
	Path          string `json:"path"`
	Size          int64  `json:"size"`
	SHA256        string `json:"sha256"`
	Source        string `json:"source"`
	SourceVersion string `json:"sourceVersion"`
}

// Source is a source package.
type Source struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Suite   string `json:"suite"`
	Files   []File `json:"files"`
}

// File is a file of a source package.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// document is the lock as JSON: each element of the long lists on a line.
type document struct {
	Format          string            `json:"format"`
	Distribution    string            `json:"distribution"`
	Architecture    string            `json:"architecture"`
	SourceDateEpoch int64             `json:"sourceDateEpoch"`
	Archives        []json.RawMessage `json:"archives"`
	Suites          []json.RawMessage `json:"suites"`
	Sets            []json.RawMessage `json:"sets"`
	Build           []json.RawMessage `json:"build"`
	Withheld        []json.RawMessage `json:"withheld"`
	Packages        []json.RawMessage `json:"packages"`
	Sources         []json.RawMessage `json:"sources"`
}

// Encode checks the lock, sorts it and returns its one spelling.
func (l *Lock) Encode() ([]byte, error) {
	l.sort()
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var b bytes.Buffer
	quote := func(v any) string { text, _ := json.Marshal(v); return string(text) }
	fmt.Fprintf(&b, "{\n  \"format\": %s,\n  \"distribution\": %s,\n  \"architecture\": %s,\n  \"sourceDateEpoch\": %d",
		quote(l.Format), quote(l.Distribution), quote(l.Architecture), l.SourceDateEpoch)
	writeList(&b, "archives", l.Archives)
	writeList(&b, "suites", l.Suites)
	writeList(&b, "sets", l.Sets)
	writeList(&b, "build", l.Build)
	writeList(&b, "withheld", l.Withheld)
	writeList(&b, "packages", l.Packages)
	writeList(&b, "sources", l.Sources)
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

func writeList[T any](b *bytes.Buffer, key string, list []T) {
	fmt.Fprintf(b, ",\n  %q: [", key)
	for i, v := range list {
		line, _ := marshal(v)
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(line)
	}
	if len(list) > 0 {
		b.WriteString("\n  ")
	}
	b.WriteByte(']')
}

// marshal writes JSON without escapes for HTML, so that versions stay readable.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Load reads and checks the lock in the file at path.
func Load(path string) (*Lock, error) { return load("lock", path, Parse) }

func load[T any](what, path string, parse func([]byte) (*T, error)) (*T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", what, path, err)
	}
	v, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", what, path, err)
	}
	return v, nil
}

// Parse reads and checks a lock.
func Parse(text []byte) (*Lock, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrInvalid, MaxSize)
	}
	var doc document
	if err := strict(text, &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if doc.Format != Format {
		return nil, fmt.Errorf("%w: format is %.60q, this program reads %q", ErrInvalid, doc.Format, Format)
	}
	l := &Lock{Format: doc.Format, Distribution: doc.Distribution, Architecture: doc.Architecture, SourceDateEpoch: doc.SourceDateEpoch}
	err := errors.Join(
		readList(doc.Archives, &l.Archives), readList(doc.Suites, &l.Suites), readList(doc.Sets, &l.Sets),
		readList(doc.Build, &l.Build), readList(doc.Withheld, &l.Withheld),
		readList(doc.Packages, &l.Packages), readList(doc.Sources, &l.Sources))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	again, err := l.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, fmt.Errorf("%w: line %d is not as the lock program writes it", ErrInvalid, firstDifference(text, again))
	}
	return l, nil
}

func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON value")
	}
	return nil
}

func readList[T any](lines []json.RawMessage, list *[]T) error {
	for _, line := range lines {
		var v T
		if err := strict(line, &v); err != nil {
			return fmt.Errorf("%.120s: %w", line, err)
		}
		*list = append(*list, v)
	}
	return nil
}

// firstDifference returns the number of the first line that differs.
func firstDifference(a, b []byte) int {
	line := 1
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '\n' {
			line++
		}
	}
	return line
}

func (l *Lock) sort() {
	slices.SortFunc(l.Archives, func(a, b Archive) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(l.Suites, func(a, b Suite) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(l.Sets, func(a, b Set) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(l.Packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(l.Sources, func(a, b Source) int {
		return strings.Compare(a.Name+" "+a.Version, b.Name+" "+b.Version)
	})
	slices.Sort(l.Build)
	slices.Sort(l.Withheld)
	for i := range l.Sets {
		slices.Sort(l.Sets[i].Packages)
	}
	for i := range l.Sources {
		slices.SortFunc(l.Sources[i].Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	}
	for i := range l.Suites {
		slices.SortFunc(l.Suites[i].Indexes, func(a, b Index) int { return strings.Compare(a.Path, b.Path) })
	}
}

// check looks at what the types do not say. Doubles stand beside each other: the
// lock is sorted.
func (l *Lock) check() error {
	suites := map[string]bool{}
	archives := map[string]bool{}
	for _, a := range l.Archives {
		archives[a.Name] = true
	}
	for _, s := range l.Suites {
		if _, err := time.Parse(time.RFC3339, s.Date); err != nil {
			return fmt.Errorf("suite %s: date: %w", s.Name, err)
		}
		if !archives[s.Archive] || !archive.ValidSHA256(s.Release) || len(s.Signers) == 0 {
			return fmt.Errorf("suite %q: no such archive, no SHA-256 or no signer", s.Name)
		}
		suites[s.Name] = true
	}
	packages := map[string]bool{}
	for _, p := range l.Packages {
		if packages[p.Name] {
			return fmt.Errorf("package %s stands there twice", p.Name)
		}
		packages[p.Name] = true
		if err := p.check(suites); err != nil {
			return fmt.Errorf("package %q: %w", p.Name, err)
		}
	}
	for i, s := range l.Sets {
		if i > 0 && l.Sets[i-1].Name == s.Name {
			return fmt.Errorf("set %s stands there twice", s.Name)
		}
		for _, name := range s.Packages {
			if !packages[name] {
				return fmt.Errorf("set %s: package %q is not in the lock", s.Name, name)
			}
		}
	}
	if err := l.checkWithheld(); err != nil {
		return err
	}
	return l.checkSources(suites)
}

func (p *Package) check(suites map[string]bool) error {
	if !archive.ValidName(p.Name) || !archive.ValidVersion(p.Version) || !archive.ValidArchitecture(p.Architecture) ||
		!archive.ValidName(p.Source) || !archive.ValidVersion(p.SourceVersion) {
		return errors.New("a name, version or architecture cannot be one")
	}
	if !suites[p.Suite] {
		return fmt.Errorf("suite %q is not in the lock", p.Suite)
	}
	return checkFile(p.Path, p.SHA256, p.Size)
}

func checkFile(path, sha string, size int64) error {
	if !archive.ValidPath(path) || !archive.ValidSHA256(sha) || size <= 0 {
		return fmt.Errorf("path %q, SHA-256 %q, size %d", path, sha, size)
	}
	return nil
}

func (l *Lock) checkSources(suites map[string]bool) error {
	sources := map[string]bool{}
	for _, s := range l.Sources {
		key := s.Name + "=" + s.Version
		if sources[key] {
			return fmt.Errorf("source %s stands there twice", key)
		}
		sources[key] = true
		if !archive.ValidName(s.Name) || !archive.ValidVersion(s.Version) || !suites[s.Suite] || len(s.Files) == 0 {
			return fmt.Errorf("source %q: name, version, suite or files", key)
		}
		for _, f := range s.Files {
			if err := checkFile(f.Path, f.SHA256, f.Size); err != nil {
				return fmt.Errorf("source %s: %w", key, err)
			}
		}
	}
	for _, p := range l.Packages {
		if !sources[p.Source+"="+p.SourceVersion] {
			return fmt.Errorf("package %s: its source %s %s is not in the lock", p.Name, p.Source, p.SourceVersion)
		}
	}
	for _, b := range l.Build {
		if !sources[b] {
			return fmt.Errorf("build: source %q is not in the lock", b)
		}
	}
	return nil
}
