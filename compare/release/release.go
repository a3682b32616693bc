// Package release sees the folder of a release as a component: its files, by
// what they are, so that two releases of other versions or root hashes still
// meet file by file. Which of them belong to an organisation is marked.
package release

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
)

const maxFiles = 10_000

// Open opens a release folder, or a single artefact. What it returns must be
// closed when the component is no longer used.
func Open(path string) (*component.Node, io.Closer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return openFolder(path)
	}
	target, err := filepath.EvalSymlinks(path) // the user's own choice may be a link
	if err != nil {
		return nil, nil, err
	}
	f, err := content.Open(target)
	if err != nil {
		return nil, nil, err
	}
	return component.New(component.Artifact, filepath.Base(path), f), f, nil
}

type closers []io.Closer

func (c closers) Close() error {
	var first error
	for _, f := range c {
		if err := f.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func openFolder(path string) (*component.Node, io.Closer, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, err
	}
	if len(entries) > maxFiles {
		return nil, nil, fmt.Errorf("release folder %s: more than %d files", path, maxFiles)
	}
	var open closers
	e := &component.Expansion{Format: "release"}
	for _, d := range entries {
		if d.IsDir() {
			continue
		}
		f, err := content.Open(filepath.Join(path, d.Name()))
		if err != nil {
			open.Close()
			return nil, nil, fmt.Errorf("release folder: %w", err)
		}
		open = append(open, f)
		e.Children = append(e.Children, Artifact(d.Name(), f))
	}
	if len(e.Children) == 0 {
		return nil, nil, fmt.Errorf("release folder %s holds no files", path)
	}
	// What explains others comes first: the disk holds all partitions.
	sort.SliceStable(e.Children, func(i, j int) bool {
		return order(e.Children[i].Name) < order(e.Children[j].Name)
	})
	return component.Group(component.Release, filepath.Base(path), e), open, nil
}

// Artifact is the component for one file of a release.
func Artifact(name string, c content.Content) *component.Node {
	n := component.New(component.Artifact, Name(name), c)
	n.Class, n.Signed = signedClass(name)
	return n
}

var (
	version = regexp.MustCompile(`^([a-z]+(?:-[a-z]+)*)_[0-9A-Za-z.~^-]+?(\.(?:raw|efi|root-|usr-|spdx|pcrs|unsigned|confext|sysext|[a-z0-9-]+\.sigstore)|$)`)
	uuid    = regexp.MustCompile(`\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.`)
)

// Name is the file's name without version and partition UUID, which differ
// with the content: "mangos_1.2.root-x86-64.<uuid>.raw.xz" is
// "mangos.root-x86-64.raw.xz".
func Name(file string) string {
	return version.ReplaceAllString(uuid.ReplaceAllString(file, "."), "$1$2")
}

func order(name string) int {
	switch {
	case strings.HasSuffix(name, ".raw.zst"):
		return 0
	case strings.HasSuffix(name, ".efi"):
		return 1
	case strings.Contains(name, ".root-"):
		return 2
	}
	return 3
}

// Signed reports whether an organisation's keys alone make the file with this name
// differ.
func Signed(name string) bool {
	_, signed := signedClass(name)
	return signed
}

// signedClass tells files that an organisation's keys alone make differ.
func signedClass(name string) (cause.Class, bool) {
	switch {
	case strings.Contains(name, "-verity-sig."):
		return cause.Signature, true
	case strings.HasSuffix(name, ".sigstore.json"), strings.HasSuffix(name, ".link"), name == "root.layout",
		name == "SHA256SUMS.gpg":
		return cause.Signature, true
	case name == "SHA256SUMS", strings.HasSuffix(name, ".pcrs.json"):
		return cause.Derived, true
	case strings.HasPrefix(name, "org_"):
		return cause.Certificate, true
	}
	return "", false
}
