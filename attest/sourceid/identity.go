package sourceid

import (
	"bytes"
	"compress/bzip2"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/attest/tree"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// Level says how well a source is identified.
type Level string

// The levels, the best first.
const (
	LevelCommit  Level = "commit"
	LevelTree    Level = "tree"
	LevelVersion Level = "version"
)

// Identity is what is known of a source package.
type Identity struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Files   []lock.File `json:"files"`
	Level   Level       `json:"level"`
	// Tree is the name of the archive with the upstream tree, SWHID the
	// identifier of that tree.
	Tree  string `json:"tree,omitempty"`
	SWHID string `json:"swhid,omitempty"`
	// Commit is the upstream commit, CommitProof what proves it.
	Commit      string `json:"commit,omitempty"`
	CommitProof string `json:"commitProof,omitempty"`
	// DebianCommit is the commit of the package in Debian's dgit history, which the
	// field Dgit of its description names. It is not upstream's.
	DebianCommit string `json:"debianCommit,omitempty"`
	// VcsGit, VcsBrowser and Tag (the id of a tag's object) are declared by the package
	// and prove nothing.
	VcsGit     string `json:"vcsGit,omitempty"`
	VcsBrowser string `json:"vcsBrowser,omitempty"`
	Tag        string `json:"tag,omitempty"`
	// Missing names files that would have told more and were not to be had, Why says
	// where they were looked for.
	Missing []string `json:"missing,omitempty"`
	Why     string   `json:"why,omitempty"`
}

// Format is the value of a set's first key.
const Format = "mangos-source-identity-1"

// MaxSet is the size in bytes of the largest set that is read.
const MaxSet = 64 << 20

// Set is the identities of all sources of a lock.
type Set struct {
	Format  string     `json:"format"`
	Sources []Identity `json:"sources"`
}

// Of reports whether the identity was computed from these files.
func (id *Identity) Of(files []lock.File) bool { return slices.Equal(id.Files, files) }

// Gap says what kept the source from being known better: files that were not to be had.
// It is empty if there are none.
func (id *Identity) Gap() string {
	if len(id.Missing) == 0 {
		return ""
	}
	why := id.Why
	if why == "" {
		why = "the reason was not written down"
	}
	return strings.Join(id.Missing, ", ") + " (" + why + ")"
}

// Find returns the identity of a source, nil if there is none; a nil set has none.
func (s *Set) Find(name, version string) *Identity {
	if s == nil {
		return nil
	}
	for i := range s.Sources {
		if s.Sources[i].Name == name && s.Sources[i].Version == version {
			return &s.Sources[i]
		}
	}
	return nil
}

// Counts is how many sources are known how well. Of those that Debian counts, the
// package's commit in Debian's history is named, and no upstream commit is proven.
type Counts struct{ Commit, Debian, Tree, Version int }

// Add counts a source.
func (c *Counts) Add(id *Identity) {
	switch {
	case id.Level == LevelCommit && id.Commit == "":
		c.Debian++
	case id.Level == LevelCommit:
		c.Commit++
	case id.Level == LevelTree:
		c.Tree++
	default:
		c.Version++
	}
}

// String sums them up.
func (c Counts) String() string {
	return fmt.Sprintf("upstream commit proven %d, Debian's (dgit) commit only %d, tree identified %d, version only %d", c.Commit, c.Debian, c.Tree, c.Version)
}

// Count counts the sources of a set.
func (s *Set) Count() Counts {
	var c Counts
	for i := range s.Sources {
		c.Add(&s.Sources[i])
	}
	return c
}

// Encode returns the set's JSON, sorted, a source a line.
func (s *Set) Encode() ([]byte, error) {
	slices.SortFunc(s.Sources, func(a, b Identity) int {
		return strings.Compare(a.Name+"="+a.Version, b.Name+"="+b.Version)
	})
	for i := 1; i < len(s.Sources); i++ {
		if s.Sources[i-1].Name == s.Sources[i].Name && s.Sources[i-1].Version == s.Sources[i].Version {
			return nil, fmt.Errorf("encode source identities: %s %s stands there twice", s.Sources[i].Name, s.Sources[i].Version)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n \"format\": %q,\n \"sources\": [", Format)
	for i := range s.Sources {
		line, err := json.Marshal(s.Sources[i])
		if err != nil {
			return nil, fmt.Errorf("encode source identities: %w", err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		b.Write(line)
	}
	b.WriteString("\n ]\n}\n")
	return b.Bytes(), nil
}

// swhid is the identifier of a tree.
var swhid = regexp.MustCompile(`^swh:1:dir:[0-9a-f]{40}$`)

// ErrIdentity: an identity says more than it names, or in a form that is none.
var ErrIdentity = errors.New("no identity of a source")

// check wants the level to be that of what is named, and an upstream commit to come with
// what proves it.
func (id *Identity) check() error {
	graded := *id
	graded.grade()
	switch {
	case id.Level != graded.Level:
		return fmt.Errorf("its level is %.20q, what it names is of the level %q: %w", id.Level, graded.Level, ErrIdentity)
	case id.SWHID != "" && !swhid.MatchString(id.SWHID) || (id.SWHID == "") != (id.Tree == ""):
		return fmt.Errorf("its tree is %.80q in the file %.80q: %w", id.SWHID, id.Tree, ErrIdentity)
	case id.Commit != "" && !IsCommit(id.Commit) || (id.Commit == "") != (id.CommitProof == ""):
		return fmt.Errorf("its commit is %.80q, proven by %.80q: %w", id.Commit, id.CommitProof, ErrIdentity)
	case id.DebianCommit != "" && !IsCommit(id.DebianCommit):
		return fmt.Errorf("its commit in Debian's history is %.80q: %w", id.DebianCommit, ErrIdentity)
	}
	return nil
}

// Parse reads a set, and refuses one with an identity that is graded higher than what it
// names.
func Parse(data []byte) (*Set, error) {
	if len(data) > MaxSet {
		return nil, fmt.Errorf("read source identities: more than %d bytes", MaxSet)
	}
	var s Set
	if err := strictjson.UnmarshalKnown(data, &s); err != nil {
		return nil, fmt.Errorf("read source identities: %w", err)
	}
	if s.Format != Format {
		return nil, fmt.Errorf("read source identities: format is %.60q, this program reads %q", s.Format, Format)
	}
	for i := range s.Sources {
		if err := s.Sources[i].check(); err != nil {
			return nil, fmt.Errorf("read source identities: %s %s: %w", s.Sources[i].Name, s.Sources[i].Version, err)
		}
	}
	return &s, nil
}

// Identify finds out what can be known of a source from its files, which open
// opens by their path in the lock. A file that is not there (fs.ErrNotExist) tells
// nothing and is named as missing. Unreadable archives are an error: a source
// that cannot be unpacked cannot be built either.
func Identify(src *lock.Source, open func(f lock.File) (io.ReadCloser, error)) (*Identity, error) {
	id := &Identity{Name: src.Name, Version: src.Version, Files: src.Files}
	for _, f := range src.Files {
		var err error
		switch {
		case strings.HasSuffix(f.Path, ".dsc"):
			err = id.readDSC(f, open)
		case isUpstream(f.Path):
			err = id.readTree(f, open)
		}
		if errors.Is(err, fs.ErrNotExist) {
			id.Missing = append(id.Missing, path.Base(f.Path))
		} else if err != nil {
			return nil, fmt.Errorf("identify %s %s: %s: %w", src.Name, src.Version, path.Base(f.Path), err)
		}
	}
	id.grade()
	return id, nil
}

// grade sets the level by what is known.
func (id *Identity) grade() {
	switch {
	case id.Commit != "" || id.DebianCommit != "":
		id.Level = LevelCommit
	case id.SWHID != "":
		id.Level = LevelTree
	default:
		id.Level = LevelVersion
	}
}

// readTree takes the tree of upstream's archive, and the commit that it names.
func (id *Identity) readTree(f lock.File, open func(lock.File) (io.ReadCloser, error)) error {
	t, err := readArchive(f, open)
	if err != nil {
		return err
	}
	id.Tree, id.SWHID = path.Base(f.Path), t.SWHID()
	if t.Commit != "" {
		id.Commit, id.CommitProof = t.Commit, "git archive, header of "+id.Tree
	}
	return nil
}

// IdentifyIn is [Identify] for files that lie in the folder dir under their base
// names; each that is there must be the locked one.
func IdentifyIn(dir string, s *lock.SelectedSource) (*Identity, error) {
	for _, f := range s.Files {
		sum, size, err := tree.HashFile(filepath.Join(dir, path.Base(f.Path)), false)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("identify %s %s: %w", s.Name, s.Version, err)
		}
		if sum != f.SHA256 || size != f.Size {
			return nil, fmt.Errorf("identify %s %s: %s: %w", s.Name, s.Version, path.Base(f.Path), ErrFile)
		}
	}
	src := &lock.Source{Name: s.Name, Version: s.Version, Files: s.Files}
	return Identify(src, func(f lock.File) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, path.Base(f.Path))) })
}

// isUpstream reports whether a file of a source is its main archive: that of a
// native package, or upstream's without a component's name.
func isUpstream(name string) bool {
	base := path.Base(name)
	for _, ending := range []string{".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst"} {
		if stem, ok := strings.CutSuffix(base, ending); ok {
			return strings.HasSuffix(stem, ".orig") || !strings.Contains(stem, ".orig-") && !strings.HasSuffix(stem, ".debian")
		}
	}
	return false
}

// ErrFile: a file is not the one of the lock.
var ErrFile = errors.New("not the locked file")

// errCompression: an archive in a form that Debian does not use.
var errCompression = errors.New("unknown compression")

// readArchive computes the tree of a compressed tar archive.
func readArchive(f lock.File, open func(lock.File) (io.ReadCloser, error)) (Tree, error) {
	c, err := open(f)
	if err != nil {
		return Tree{}, err
	}
	defer c.Close()
	var r io.Reader
	switch path.Ext(f.Path) {
	case ".gz":
		r, err = gzip.NewReader(c)
	case ".xz":
		r, err = xz.NewReader(c, 1<<30)
	case ".bz2":
		r = bzip2.NewReader(c)
	case ".zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(c, zstd.WithDecoderMaxWindow(128<<20)); err == nil {
			defer z.Close()
			r = z
		}
	default:
		err = errCompression
	}
	if err != nil {
		return Tree{}, err
	}
	return ReadTar(r)
}

// Load reads the set in the file at path.
func Load(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read source identities: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSet+1))
	if err != nil {
		return nil, fmt.Errorf("read source identities %s: %w", path, err)
	}
	s, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
