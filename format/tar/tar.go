// Package tar lists the members of tar archives (POSIX pax, ustar, GNU, as archive/tar
// reads them) and tells where their contents lie.
package tar

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// Magic stands at MagicOffset of an archive.
const (
	Magic       = "ustar"
	MagicOffset = 257
)

// Bounds of an archive.
const (
	MaxMembers = 100_000
	maxNames   = 16 << 20 // bytes of all names, targets and pax records
)

// Sentinels.
var (
	// ErrFormat: bytes that are no archive, or more of one than is read.
	ErrFormat = errors.New("malformed tar archive")
	// ErrSparse: a file whose content does not lie in one piece.
	ErrSparse = errors.New("a sparse file in a tar archive")
)

// Member is a member and where its content lies; Header.Size is 0 for what has none.
type Member struct {
	*tar.Header
	Offset int64
}

// Reader goes through an archive.
type Reader struct {
	section *io.SectionReader
	tar     *tar.Reader
	count   int
	names   int
}

// NewReader begins with an archive of the given size.
func NewReader(r io.ReaderAt, size int64) *Reader {
	s := io.NewSectionReader(r, 0, size)
	return &Reader{section: s, tar: tar.NewReader(s)}
}

// Next returns the next member. After the last one the error is [io.EOF]; any other
// wraps [ErrFormat] or [ErrSparse].
func (r *Reader) Next() (*Member, error) {
	h, err := r.tar.Next()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // names are shown, not followed
		return nil, fmt.Errorf("read tar archive: member %d: %w: %w", r.count+1, ErrFormat, err)
	}
	r.count++
	r.names += len(h.Name) + len(h.Linkname)
	for k, v := range h.PAXRecords {
		r.names += len(k) + len(v)
	}
	if r.count > MaxMembers || r.names > maxNames {
		return nil, fmt.Errorf("read tar archive: %w: more than %d members, or than %d bytes of names", ErrFormat, MaxMembers, maxNames)
	}
	if sparse(h) {
		return nil, fmt.Errorf("read tar archive: member %d: %w: %.200q", r.count, ErrSparse, h.Name)
	}
	if !hasContent(h.Typeflag) {
		h.Size = 0
	}
	m := &Member{Header: h}
	if m.Offset, err = r.section.Seek(0, io.SeekCurrent); err != nil {
		return nil, fmt.Errorf("read tar archive: %w", err)
	}
	if left := r.section.Size() - m.Offset; h.Size > left {
		return nil, fmt.Errorf("read tar archive: member %d: %w: %d bytes, and the archive ends after %d", r.count, ErrFormat, h.Size, left)
	}
	return m, nil
}

func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range maps.Keys(h.PAXRecords) {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func hasContent(kind byte) bool {
	switch kind {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo, tar.TypeXGlobalHeader:
		return false
	}
	return true
}
