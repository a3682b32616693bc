package verify

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/mastercard/mangos/attest/gosum"
)

// Modules has the check of the lock hold the archives of Go modules against go.sum,
// by their content: that is not in the release, which has their digests only. They
// lie in the folder dir as a module cache has them in cache/download.
func Modules(dir string) Option { return func(v *verifier) { v.modules = dir } }

// modules are those that steps had, with the SHA-256 of their archives.
type modules map[module.Version]string

// add takes a module that a step had, which must be the one that others had.
func (list modules) add(m module.Version, digest string, sums gosum.Sums) error {
	if sums[m] == "" {
		return fmt.Errorf("%s is not in go.sum", m)
	}
	if known, ok := list[m]; ok && known != digest {
		return fmt.Errorf("%s has SHA-256 %s, and %s in another step", m, digest, known)
	}
	list[m] = digest
	return nil
}

// check holds all archives, which lie in the folder dir, against go.sum.
func (list modules) check(dir string, sums gosum.Sums) error {
	for m, digest := range list {
		if err := checkModule(dir, m, digest, sums[m]); err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
	}
	return nil
}

// checkModule makes sure that the archive which steps had is the one that go.sum
// means, and not only called so.
func checkModule(dir string, m module.Version, digest, want string) error {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return err
	}
	f, err := open(filepath.Join(dir, filepath.FromSlash(path), "@v", version+".zip"))
	if err != nil {
		return err
	}
	defer f.f.Close()
	if err := f.load(); err != nil {
		return err
	}
	if f.sum != digest {
		return fmt.Errorf("its archive has SHA-256 %s, the steps had one with %s", f.sum, digest)
	}
	got, err := hashModule(f.data)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the archive that the steps had is %s, go.sum says %s", got, want)
	}
	return nil
}

// hashModule is go.sum's hash of a module's archive.
func hashModule(data []byte) (string, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return "", err
	}
	files := map[string]*zip.File{}
	var names []string
	var size uint64
	for _, f := range z.File {
		if files[f.Name] != nil {
			return "", fmt.Errorf("%.200q stands in it twice", f.Name)
		}
		if size += min(f.UncompressedSize64, maxMemory+1); size > maxMemory {
			return "", fmt.Errorf("it has more than %d bytes, unpacked", int64(maxMemory))
		}
		files[f.Name] = f
		names = append(names, f.Name)
	}
	return dirhash.Hash1(names, func(name string) (io.ReadCloser, error) {
		r, err := files[name].Open()
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(r, int64(files[name].UncompressedSize64)), r}, nil
	})
}
