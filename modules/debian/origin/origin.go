// Package origin keeps what shows that a lock is what the distribution signed:
// the indexes that the signed Releases in the lock name. With them a lock is
// checked offline, by whoever has the distribution's public keys.
//
// The file is a tar archive, compressed with zstd. It holds each index, unpacked,
// as SUITE/PATH, PATH being the index's below the suite.
package origin

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/zstdframe"
	"github.com/mastercard/mangos/modules/debian/archive"
)

// Suffix ends the name of the file.
const Suffix = ".origin.tar.zst"

// Limits of what is read.
const (
	maxEntries = 1000
	maxTotal   = 4 << 30
	maxPacked  = 1 << 30
	maxWindow  = 64 << 20
)

// ErrFormat: not a file as the package documentation describes it.
var ErrFormat = errors.New("malformed file of a lock's origin")

// Indexes are unpacked indexes by their suites, and their paths below these.
type Indexes map[string]map[string][]byte

// put puts an index in, which must not be there yet.
func (x Indexes) put(suite, path string, data []byte) bool {
	if x[suite] == nil {
		x[suite] = map[string][]byte{}
	}
	_, twice := x[suite][path]
	x[suite][path] = data
	return !twice
}

// Write writes the file. The same indexes give the same bytes.
func (x Indexes) Write(w io.Writer) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("write origin: %w", err)
	}
	if err := errors.Join(x.archive(z), z.Close()); err != nil {
		return fmt.Errorf("write origin: %w", err)
	}
	return nil
}

// archive writes the tar archive.
func (x Indexes) archive(w io.Writer) error {
	t := tar.NewWriter(w)
	for _, suite := range slices.Sorted(maps.Keys(x)) {
		for _, path := range slices.Sorted(maps.Keys(x[suite])) {
			data := x[suite][path]
			h := &tar.Header{Name: suite + "/" + path, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR}
			if err := t.WriteHeader(h); err != nil {
				return err
			}
			if _, err := t.Write(data); err != nil {
				return err
			}
		}
	}
	return t.Close()
}

// Read reads the file, which has nothing but the indexes: it is one frame, and the
// archive in it is the one that Write makes of them. Errors wrap [ErrFormat] or are r's.
func Read(r io.Reader) (Indexes, error) {
	packed, err := io.ReadAll(io.LimitReader(r, maxPacked+1))
	if err != nil {
		return nil, fmt.Errorf("read origin: %w", err)
	}
	x, err := read(packed)
	if err != nil {
		return nil, fmt.Errorf("read origin: %w: %w", ErrFormat, err)
	}
	return x, nil
}

func read(packed []byte) (Indexes, error) {
	if err := checkFrame(packed); err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	got, want := sha256.New(), sha256.New()
	unpacked := io.TeeReader(io.LimitReader(z, maxTotal), got)
	x, err := readTar(unpacked)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil {
		return nil, err
	}
	if err := x.archive(want); err != nil {
		return nil, err
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return nil, errors.New("the archive is not the one that its indexes make")
	}
	return x, nil
}

// checkFrame refuses what a decoder drops: frames to be skipped and those behind the
// first, and blocks of nothing that have a byte.
func checkFrame(packed []byte) error {
	if len(packed) > maxPacked {
		return fmt.Errorf("it has more than %d bytes", maxPacked)
	}
	frame, err := zstdframe.Walk(packed, func(b zstdframe.Block) error {
		if b.Size == 0 && b.Stored > 0 {
			return fmt.Errorf("the block at %d holds nothing", b.Offset)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if rest := len(packed) - frame.Length; rest > 0 {
		return fmt.Errorf("%d bytes follow its frame", rest)
	}
	return nil
}

func readTar(r io.Reader) (Indexes, error) {
	x := Indexes{}
	left := int64(maxTotal)
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return x, nil
		}
		if err != nil {
			return nil, err
		}
		if left -= h.Size; n == maxEntries || h.Typeflag != tar.TypeReg || h.Size > archive.MaxIndex || left < 0 {
			return nil, fmt.Errorf("%q of %d bytes", h.Name, h.Size)
		}
		data, err := readAll(t, h.Size)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", h.Name, err)
		}
		suite, path, ok := strings.Cut(h.Name, "/")
		if !ok || !archive.ValidPath(h.Name) || !x.put(suite, path, data) {
			return nil, fmt.Errorf("%q has no place, or stands there twice", h.Name)
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
