package origin

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/definition"
)

// Keyrings reads the keys that a definition, which lies in the folder base, trusts to
// sign each suite.
func Keyrings(d definition.Distribution, base string) (map[string]*archive.Keyring, error) {
	keys := map[string]*archive.Keyring{}
	for _, suite := range d.Suites {
		ring, err := archive.LoadKeyring(base, suite.Keys, suite.Signers)
		if err != nil {
			return nil, fmt.Errorf("suite %s: %w", suite.Name, err)
		}
		keys[suite.Name] = ring
	}
	return keys, nil
}

// Collect gets the indexes of a lock from the servers, after it has verified the
// Releases that name them. The error wraps [fetch.ErrGone] when no server has one any
// more: they are locked files, and without one of them nobody can hold the lock against
// the distribution's word.
func Collect(ctx context.Context, l *lock.Lock, keys map[string]*archive.Keyring, f *fetch.Fetcher) (Indexes, error) {
	x := Indexes{}
	for _, suite := range l.Suites {
		ring, ok := keys[suite.Name]
		if !ok {
			return nil, fmt.Errorf("collect origin: suite %s: %w: the definition does not have it", suite.Name, ErrRelease)
		}
		r, err := Release(suite, ring)
		if err != nil {
			return nil, fmt.Errorf("collect origin: %w", err)
		}
		for _, index := range suite.Indexes {
			plain, data, err := get(ctx, f, suite, r, index)
			if err != nil {
				return nil, fmt.Errorf("collect origin: suite %s: %w", suite.Name, err)
			}
			x.put(suite.Name, plain, data)
		}
	}
	return x, nil
}

// get gets an index as the lock names it, and unpacks it. It returns its path
// below the suite, unpacked.
func get(ctx context.Context, f *fetch.Fetcher, suite lock.Suite, r *archive.Release, index lock.Index) (plain string, data []byte, err error) {
	below := strings.TrimPrefix(index.Path, "dists/"+suite.Name+"/")
	listed, ok := r.File(below)
	if !ok || listed.SHA256 != index.SHA256 {
		return "", nil, fmt.Errorf("%w: the Release does not list %s", ErrIndex, index.Path)
	}
	plain = strings.TrimSuffix(below, path.Ext(below))
	if listed.Size == 0 {
		return plain, nil, nil
	}
	file := fetch.File{Name: suite.Name + " " + below, Archive: suite.Archive, Path: index.Path, Size: listed.Size, SHA256: listed.SHA256}
	if r.ByHash {
		file.Path = path.Dir(index.Path) + "/by-hash/SHA256/" + index.SHA256
	}
	if err := f.ToCache(ctx, []fetch.File{file}); err != nil {
		return "", nil, err
	}
	in, err := f.Open(file.SHA256)
	if err != nil {
		return "", nil, err
	}
	defer in.Close()
	if data, err = io.ReadAll(io.LimitReader(in, file.Size)); err != nil {
		return "", nil, err
	}
	data, err = archive.Decompress(below, data)
	return plain, data, err
}
