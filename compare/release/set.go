package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

var (
	// ErrNoSet says that a folder is no release with an unsigned set.
	ErrNoSet = errors.New("no release with an unsigned set")
	// ErrMismatch: bytes of a release are not what its unsigned.json lists.
	ErrMismatch = errors.New("release does not hold what it lists")
)

// Set is the unsigned set of a release: what is the same for every organisation
// that builds the same inputs, recovered from what one of them has signed.
type Set struct {
	Manifest *unsigned.Manifest
	// Parts are in the order of the manifest.
	Parts []Part

	open closers
}

// Part is a file of the set.
type Part struct {
	unsigned.File
	// Content is nil where the release does not hold the file: vmlinux, of which
	// it has the stripped form in bzImage.
	Content content.Content
}

// Close closes the files that the set is read from.
func (s *Set) Close() error { return s.open.Close() }

// Name is what the release is called in evidence.
func (s *Set) Name() string { return s.Manifest.Name + "_" + s.Manifest.Version }

// Node is the set as a component whose children are those parts that are there.
func (s *Set) Node() *component.Node {
	e := &component.Expansion{Format: "release"}
	for _, p := range s.Parts {
		if p.Content != nil {
			e.Children = append(e.Children, component.New(component.Artifact, p.Name, p.Content))
		}
	}
	return component.Group(component.Release, s.Name(), e)
}

// Patterns of the files of a release that hold parts of the set.
var (
	unsignedFile = regexp.MustCompile(`\.unsigned\.json$`)
	rootFile     = regexp.MustCompile(`\.root-x86-64\.[0-9a-f-]{36}\.raw\.xz$`)
	treeFile     = regexp.MustCompile(`\.root-x86-64-verity\.[0-9a-f-]{36}\.raw\.xz$`)
	imageFile    = regexp.MustCompile(`\.efi$`)
)

// OpenSet finds the unsigned set of the release in a folder. Files in the folder
// unsigned, if that is not empty, are taken first. A folder without unsigned.json
// is [ErrNoSet].
func OpenSet(release, unsigned string) (*Set, error) {
	s := &Set{}
	if err := s.read(release, unsigned); err != nil {
		s.Close()
		return nil, fmt.Errorf("unsigned set of %s: %w", release, err)
	}
	return s, nil
}

func (s *Set) read(release, folder string) error {
	f, err := s.file(release, unsignedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: no file *.unsigned.json", ErrNoSet)
	}
	if err != nil {
		return err
	}
	if s.Manifest, err = unsigned.Read(content.Reader(f)); err != nil {
		return err
	}
	image, err := s.image(release)
	if err != nil {
		return err
	}
	for _, listed := range s.Manifest.Files {
		p := Part{File: listed}
		if p.Content, err = s.part(release, folder, listed, image); err != nil {
			return fmt.Errorf("%s: %w", listed.Name, err)
		}
		s.Parts = append(s.Parts, p)
	}
	return nil
}

// part finds the bytes of a file of the set.
func (s *Set) part(release, folder string, listed unsigned.File, image *signedImage) (content.Content, error) {
	if folder != "" {
		f, err := content.Open(filepath.Join(folder, filepath.Base(listed.Name)))
		if err == nil {
			s.open = append(s.open, f)
			return f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	switch listed.Name {
	case unsigned.Root:
		return s.decompressed(release, rootFile)
	case unsigned.Tree:
		return s.decompressed(release, treeFile)
	case unsigned.RootHash:
		return s.rootHash(release, folder)
	}
	return image.part(listed), nil
}

// file opens the one file of a folder whose name matches.
func (s *Set) file(folder string, pattern *regexp.Regexp) (*content.File, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	name := ""
	for _, e := range entries {
		if !pattern.MatchString(e.Name()) {
			continue
		}
		if name != "" {
			return nil, fmt.Errorf("both %s and %s match %s", name, e.Name(), pattern)
		}
		name = e.Name()
	}
	if name == "" {
		return nil, fmt.Errorf("no file that matches %s: %w", pattern, fs.ErrNotExist)
	}
	f, err := content.Open(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, f)
	return f, nil
}

func (s *Set) decompressed(folder string, pattern *regexp.Regexp) (content.Content, error) {
	f, err := s.file(folder, pattern)
	if err != nil {
		return nil, err
	}
	return content.Decompress(f, content.XZ)
}

// rootHash computes the root hash from the hash tree.
func (s *Set) rootHash(release, folder string) (content.Content, error) {
	for _, p := range s.Parts {
		if p.Name == unsigned.Tree {
			return s.hash(p.Content)
		}
	}
	tree, err := s.part(release, folder, unsigned.File{Name: unsigned.Tree}, nil)
	if err != nil {
		return nil, err
	}
	return s.hash(tree)
}

func (s *Set) hash(tree content.Content) (content.Content, error) {
	root, err := component.RootHash(tree)
	if err != nil {
		return nil, err
	}
	return content.Bytes([]byte(root + "\n")), nil
}
