package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/modules/debian/archive"
	"github.com/mastercard/mangos/modules/debian/fetch"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// Save writes the signed Releases into the folder dir, each suite's into a
// folder of its own: what is kept beside a lock. What lies in dir of other
// suites is removed.
func Save(dir string, signed map[string]archive.Signed) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("save Releases: %w", err)
	}
	for suite, files := range signed {
		folder := filepath.Join(dir, suite)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("save Releases: %w", err)
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
				return fmt.Errorf("save Releases: %w", err)
			}
		}
	}
	return nil
}

// Collect puts together the origin of a lock: the signed Releases from the folder
// that Save wrote, which are verified, and the indexes from the servers. An index
// that no server has any more is left out and named in missing: the lock is no
// worse for it, but nobody can hold it against the distribution's word.
func Collect(ctx context.Context, l *lock.Lock, dir string, keys map[string]*archive.Keyring, f *fetch.Fetcher) (s Suites, missing []string, err error) {
	s = Suites{}
	for _, suite := range l.Suites {
		to := s.suite(suite.Name)
		if err := to.load(filepath.Join(dir, suite.Name)); err != nil {
			return nil, nil, fmt.Errorf("collect origin: suite %s: %w", suite.Name, err)
		}
		ring, ok := keys[suite.Name]
		if !ok {
			return nil, nil, fmt.Errorf("collect origin: suite %s: %w: the definition does not have it", suite.Name, ErrRelease)
		}
		r, err := s.Release(suite, ring)
		if err != nil {
			return nil, nil, fmt.Errorf("collect origin: %w", err)
		}
		for _, index := range suite.Indexes {
			err := to.fetch(ctx, f, suite, r, index)
			if errors.Is(err, fetch.ErrGone) {
				missing = append(missing, index.Path)
				continue
			}
			if err != nil {
				return nil, nil, fmt.Errorf("collect origin: suite %s: %w", suite.Name, err)
			}
		}
	}
	return s, missing, nil
}

// load reads a suite's signed Release.
func (s *Suite) load(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there is no folder of it beside the lock: make the lock anew (debian lock)", ErrRelease)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if s.Signed[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets an index as the lock names it, and unpacks it.
func (s *Suite) fetch(ctx context.Context, f *fetch.Fetcher, suite lock.Suite, r *archive.Release, index lock.Index) error {
	below := strings.TrimPrefix(index.Path, "dists/"+suite.Name+"/")
	listed, ok := r.File(below)
	if !ok || listed.SHA256 != index.SHA256 {
		return fmt.Errorf("%w: the Release does not list %s", ErrIndex, index.Path)
	}
	plain := strings.TrimSuffix(below, path.Ext(below))
	if listed.Size == 0 {
		s.Indexes[plain] = nil
		return nil
	}
	file := fetch.File{Name: suite.Name + " " + below, Archive: suite.Archive, Path: index.Path, Size: listed.Size, SHA256: listed.SHA256}
	if r.ByHash {
		file.Path = path.Dir(index.Path) + "/by-hash/SHA256/" + index.SHA256
	}
	if err := f.ToCache(ctx, []fetch.File{file}); err != nil {
		return err
	}
	in, err := f.Open(file.SHA256)
	if err != nil {
		return err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, file.Size))
	if err != nil {
		return err
	}
	s.Indexes[plain], err = archive.Decompress(below, data)
	return err
}
