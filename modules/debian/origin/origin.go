// Package origin keeps what shows that a lock is what the distribution signed:
// the signed Releases of its suites, and the indexes that these name. With them
// a lock is checked offline, by whoever has the distribution's public keys.
//
// The file is a tar archive, compressed with zstd:
//
//	SUITE/InRelease              or Release and Release.gpg
//	SUITE/indexes/COMPONENT/...  each index, unpacked
package origin

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/modules/debian/archive"
)

// Suffix ends the name of the file.
const Suffix = ".origin.tar.zst"

// Limits of what is read.
const (
	maxEntries = 1000
	maxTotal   = 4 << 30
	maxWindow  = 64 << 20
)

// ErrFormat: not a file as the package documentation describes it.
var ErrFormat = errors.New("malformed file of a lock's origin")

// Suite is a signed Release with its indexes.
type Suite struct {
	Signed archive.Signed
	// Indexes are unpacked, by their paths below the suite.
	Indexes map[string][]byte
}

// Suites are suites by their names.
type Suites map[string]*Suite

const indexes = "indexes/"

// suite returns the suite of that name, which it makes if need be.
func (s Suites) suite(name string) *Suite {
	if s[name] == nil {
		s[name] = &Suite{Signed: archive.Signed{}, Indexes: map[string][]byte{}}
	}
	return s[name]
}

// Write writes the file. The same suites give the same bytes.
func (s Suites) Write(w io.Writer) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("write origin: %w", err)
	}
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(s)) {
		files := map[string][]byte{}
		for file, data := range s[name].Signed {
			files[file] = data
		}
		for path, data := range s[name].Indexes {
			files[indexes+path] = data
		}
		for _, file := range slices.Sorted(maps.Keys(files)) {
			h := &tar.Header{Name: name + "/" + file, Mode: 0o644, Size: int64(len(files[file])), Format: tar.FormatUSTAR}
			if err := t.WriteHeader(h); err != nil {
				return fmt.Errorf("write origin: %w", err)
			}
			if _, err := t.Write(files[file]); err != nil {
				return fmt.Errorf("write origin: %w", err)
			}
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return fmt.Errorf("write origin: %w", err)
	}
	return nil
}

// Read reads the file. Errors wrap [ErrFormat] or are r's.
func Read(r io.Reader) (Suites, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("read origin: %w: %w", ErrFormat, err)
	}
	defer z.Close()
	s := Suites{}
	left := int64(maxTotal)
	t := tar.NewReader(z)
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read origin: %w: %w", ErrFormat, err)
		}
		if left -= h.Size; n == maxEntries || h.Typeflag != tar.TypeReg || h.Size > archive.MaxIndex || left < 0 {
			return nil, fmt.Errorf("read origin: %w: %q of %d bytes", ErrFormat, h.Name, h.Size)
		}
		data, err := readAll(t, h.Size)
		if err != nil {
			return nil, fmt.Errorf("read origin: %s: %w: %w", h.Name, ErrFormat, err)
		}
		if err := s.add(h.Name, data); err != nil {
			return nil, fmt.Errorf("read origin: %w", err)
		}
	}
}

// readAll reads an entry; memory is taken as bytes come.
func readAll(r io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, size); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// add puts a file into its suite.
func (s Suites) add(name string, data []byte) error {
	suite, file, ok := strings.Cut(name, "/")
	if !ok || !archive.ValidPath(name) {
		return fmt.Errorf("%w: name %q", ErrFormat, name)
	}
	to, key := map[string][]byte(s.suite(suite).Signed), file
	if path, ok := strings.CutPrefix(file, indexes); ok {
		to, key = s[suite].Indexes, path
	} else if len(data) > archive.MaxRelease || strings.Contains(file, "/") {
		return fmt.Errorf("%w: %q of %d bytes", ErrFormat, name, len(data))
	}
	if _, twice := to[key]; twice {
		return fmt.Errorf("%w: %q stands there twice", ErrFormat, name)
	}
	to[key] = data
	return nil
}
