package archive

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"pault.ag/go/debian/version"

	"github.com/mastercard/mangos/modules/debian/fetch"
)

// Suite is a verified Release with its indexes, for one architecture.
type Suite struct {
	Name, Archive string
	Release       *Release
	// Signed is the Release as it was signed.
	Signed Signed
	// Components are the component indexes, in the order of the definition.
	Components []Component
	// Read lists the index files that were read, with their path below the
	// archive.
	Read []File
}

// Component is the Packages and Sources index of a component, unpacked. Packages
// is empty for a component that has none.
type Component struct {
	Name              string
	Packages, Sources []byte
}

// ReadSuite fetches and verifies a suite: its Release at the moment now, then the
// indexes of its components for the architecture.
func ReadSuite(ctx context.Context, f *fetch.Fetcher, archive, name string, components []string, architecture string, keys *Keyring, now time.Time) (*Suite, error) {
	signed, err := readRelease(ctx, f, archive, name)
	if err != nil {
		return nil, fmt.Errorf("suite %s: %w", name, err)
	}
	r, err := keys.Verify(signed, now)
	if err == nil {
		err = r.Of(name)
	}
	if err != nil {
		return nil, fmt.Errorf("suite %s: %w", name, err)
	}
	s := &Suite{Name: name, Archive: archive, Release: r, Signed: signed}
	for _, c := range components {
		if !slices.Contains(r.Components, c) && !slices.ContainsFunc(r.Components, func(have string) bool { return strings.HasSuffix(have, "/"+c) }) {
			return nil, fmt.Errorf("suite %s: %w: it has no component %s", name, ErrRelease, c)
		}
		component := Component{Name: c}
		if component.Packages, err = s.index(ctx, f, c+"/binary-"+architecture+"/Packages"); err != nil {
			return nil, err
		}
		if component.Sources, err = s.index(ctx, f, c+"/source/Sources"); err != nil {
			return nil, err
		}
		s.Components = append(s.Components, component)
	}
	return s, nil
}

// Signed is a Release as it was signed: the file InRelease, or Release and
// Release.gpg.
type Signed map[string][]byte

func readRelease(ctx context.Context, f *fetch.Fetcher, archive, suite string) (Signed, error) {
	signed := Signed{}
	get := func(name string) (err error) {
		signed[name], err = f.Get(ctx, archive, "dists/"+suite+"/"+name, MaxRelease)
		return err
	}
	err := get(inRelease)
	if err == nil {
		return signed, nil
	}
	delete(signed, inRelease)
	if get(release) != nil {
		return nil, err
	}
	return signed, get(releaseSignature)
}

// index fetches an index in the best compression that the Release lists: gzip
// before xz, for it unpacks many times faster.
func (s *Suite) index(ctx context.Context, f *fetch.Fetcher, path string) ([]byte, error) {
	for _, ending := range []string{".gz", ".xz", ".zst", ""} {
		listed, ok := s.Release.File(path + ending)
		if !ok {
			continue
		}
		if listed.Size > MaxIndex {
			return nil, fmt.Errorf("suite %s: %s: %w: %d bytes", s.Name, path, ErrIndex, listed.Size)
		}
		file := fetch.File{
			Name: s.Name + " " + path + ending, Archive: s.Archive,
			Path: "dists/" + s.Name + "/" + path + ending, Size: listed.Size, SHA256: listed.SHA256,
		}
		s.Read = append(s.Read, File{Path: file.Path, Size: file.Size, SHA256: file.SHA256})
		if s.Release.ByHash {
			dir := file.Path[:strings.LastIndexByte(file.Path, '/')]
			file.Path = dir + "/by-hash/SHA256/" + file.SHA256
		}
		return read(ctx, f, file, path+ending)
	}
	return nil, fmt.Errorf("suite %s: %w: it lists no %s", s.Name, ErrRelease, path)
}

func read(ctx context.Context, f *fetch.Fetcher, file fetch.File, name string) ([]byte, error) {
	if file.Size == 0 {
		return nil, nil
	}
	if err := f.ToCache(ctx, []fetch.File{file}); err != nil {
		return nil, err
	}
	r, err := f.Open(file.SHA256)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, file.Size))
	if err != nil {
		return nil, err
	}
	return Decompress(name, data)
}

// CompareVersions orders two versions as dpkg does.
func CompareVersions(a, b string) (int, error) {
	va, err := version.Parse(a)
	if err != nil {
		return 0, fmt.Errorf("version %.80q: %w", a, err)
	}
	vb, err := version.Parse(b)
	if err != nil {
		return 0, fmt.Errorf("version %.80q: %w", b, err)
	}
	return cmp.Compare(version.Compare(va, vb), 0), nil
}
