// Package side opens what is to be compared: a release folder, a single artifact,
// or evidence alone, of which only manifests are there, in a folder or on a web server.
package side

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/manifest"
	"github.com/mastercard/mangos/compare/release"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/steps"
)

// ErrManifest: a manifest that is not the one that the signed statement names.
var ErrManifest = errors.New("not the manifest that was signed")

// Side is one of two things that are compared.
type Side struct {
	// Path is what the user called it.
	Path string
	// Evidence tells that only manifests are there.
	Evidence bool
	// Problems say why the unsigned set of a release that lists one cannot be
	// recovered, why its attestations of steps or its bill of materials cannot be read,
	// and that nobody vouches for evidence from elsewhere.
	Problems []error

	whole   *component.Node
	set     *release.Set
	steps   *lineage.Side
	build   *evidence.Build
	folder  *repository.Folder
	by      *evidence.Reader
	closers []io.Closer
}

// ErrAnyone: evidence from a web server, and no word on whose key must have signed it.
var ErrAnyone = errors.New("is signed by the key that lies beside it, which may be anybody's: name --organisations")

// Open opens a side. The signatures of evidence are checked against the key that
// lies beside them only: who may speak is for a verdict to judge.
func Open(ctx context.Context, path string) (*Side, error) { return OpenBy(ctx, path, nil) }

// OpenBy opens a side as [Open] does, evidence by a reader that knows whose it may be.
func OpenBy(ctx context.Context, path string, by *evidence.Reader) (*Side, error) {
	s := &Side{Path: path, by: by}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Side) open(ctx context.Context) error {
	if repository.IsAddress(s.Path) {
		return s.openAddress(ctx)
	}
	if info, err := os.Lstat(filepath.Join(s.Path, evidence.BuildFile)); err == nil && info.Mode().IsRegular() {
		return s.openEvidence(ctx)
	}
	whole, closer, err := release.Open(s.Path)
	if err != nil {
		return err
	}
	s.whole, s.closers = whole, append(s.closers, closer)
	if whole.Kind != component.Release {
		return nil
	}
	set, err := release.OpenSet(s.Path, "")
	switch {
	case err == nil:
		s.set, s.closers = set, append(s.closers, set)
	case !errors.Is(err, release.ErrNoSet):
		s.Problems = append(s.Problems, err)
	}
	all, err := steps.Read(s.Path)
	switch {
	case err == nil:
		s.steps = &all
	case !errors.Is(err, steps.ErrNone):
		s.Problems = append(s.Problems, err)
	}
	return nil
}

// openAddress opens evidence on a web server. A release is not read from there: of what
// is so large the reader decides when it is fetched.
func (s *Side) openAddress(ctx context.Context) error {
	folder, err := repository.At(s.Path)
	if err != nil {
		return err
	}
	err = s.from(ctx, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: an address is that of an organisation's evidence; a release must be downloaded, and its folder named", err)
	}
	if err == nil && s.by == nil {
		s.Problems = append(s.Problems, fmt.Errorf("%s %w", s.Path, ErrAnyone))
	}
	return err
}

func (s *Side) openEvidence(ctx context.Context) error {
	list, err := repository.Find(ctx, s.Path, "", nil)
	if err != nil {
		return err
	}
	return s.from(ctx, list[0])
}

// FromFolder is the evidence in a folder, as [Open] takes it.
func FromFolder(ctx context.Context, folder *repository.Folder) (*Side, error) {
	s := &Side{Path: folder.Place}
	return s, s.from(ctx, folder)
}

func (s *Side) from(ctx context.Context, folder *repository.Folder) error {
	read := evidence.Unverified
	if s.by != nil {
		read = s.by.Verify
	}
	e, err := read(ctx, folder)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	if e.Build == nil {
		return fmt.Errorf("%s: %w: it is committed to, and not revealed yet", s.Path, evidence.ErrInvalid)
	}
	s.Evidence, s.build, s.folder = true, e.Build, folder
	return nil
}

// Close closes the files of the side.
func (s *Side) Close() error {
	var first error
	for _, c := range s.closers {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Whole is all that is there, nil for evidence.
func (s *Side) Whole() *component.Node { return s.whole }

// Build is what evidence says, nil for anything else.
func (s *Side) Build() *evidence.Build { return s.build }

// HasLineage tells whether it is known what the side was made from: of evidence
// and of releases with an unsigned set.
func (s *Side) HasLineage() bool { return s.build != nil || s.set != nil }

// Steps are the steps that made a release, by its attestations; nil where there are
// none.
func (s *Side) Steps() *lineage.Side { return s.steps }

// Lineage is the side for a comparison of lineages. A release does not know its
// inputs.
func (s *Side) Lineage() lineage.Side {
	if s.build != nil {
		return s.build.Side()
	}
	digests := map[string]string{}
	var names []string
	for _, p := range s.set.Parts {
		digests[p.Name] = p.SHA256
		names = append(names, p.Name)
	}
	return lineage.Side{
		Lineage: evidence.Components(nil, names),
		Digest:  func(name string) string { return digests[name] },
	}
}

// Artifacts is a component whose children are those of the named artifacts of the
// unsigned set that the side can show.
func (s *Side) Artifacts(ctx context.Context, names []string) (*component.Node, error) {
	e := &component.Expansion{Format: "release", Known: s.Evidence}
	if s.set != nil {
		for _, p := range s.set.Parts {
			if p.Content != nil && slices.Contains(names, p.Name) {
				n := component.New(component.Artifact, p.Name, p.Content)
				s.own(n)
				e.Children = append(e.Children, n)
			}
		}
		return component.Group(component.Release, "release", e), nil
	}
	for _, m := range s.build.Manifests {
		for _, name := range names {
			if m.Name != evidence.ManifestName(name) {
				continue
			}
			n, err := s.manifest(ctx, name, m)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Path, err)
			}
			e.Children = append(e.Children, n)
		}
	}
	return component.Group(component.Release, "release", e), nil
}

// manifest reads a manifest and holds it against what was signed: its own digest,
// and that of the artifact.
func (s *Side) manifest(ctx context.Context, name string, m evidence.Item) (*component.Node, error) {
	in, err := s.folder.Open(ctx, m.Name, manifest.MaxSize)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	h := sha256.New()
	both := io.TeeReader(in, h)
	n, err := manifest.Read(both)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	if _, err := io.Copy(io.Discard, both); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	if hex.EncodeToString(h.Sum(nil)) != m.SHA256 {
		return nil, fmt.Errorf("%s: %w: its digest is another one", m.Name, ErrManifest)
	}
	if n.Known == nil || hex.EncodeToString(n.Known.SHA256[:]) != s.build.Artifact(name) {
		return nil, fmt.Errorf("%s: %w: it describes another %s", m.Name, ErrManifest, name)
	}
	n.Name = name
	return n, nil
}
