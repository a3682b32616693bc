// Package xz reads the outer structure of .xz files, without decompressing: the
// blocks, their sizes, and the SHA-256 of what each holds.
//
// A decoder refuses a block whose content has not the digest that stands behind
// it. So a file whose blocks bear the digests of the pieces of some content
// decompresses to that content or not at all, which is known after reading the
// content, in a fraction of the time that decompressing takes.
//
// Specification: The .xz File Format, version 1.2.1. One stream of plain LZMA2
// blocks is read, as xz writes it.
package xz

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Errors of files that are not read.
var (
	// ErrFormat: not an .xz file of the kind described above.
	ErrFormat = errors.New("malformed xz file")
	// ErrLimit: it has more blocks than this package handles.
	ErrLimit = errors.New("xz file beyond limits")
	// ErrCheck: its blocks bear no SHA-256.
	ErrCheck = errors.New("xz file without SHA-256 checks")
)

const (
	// HeaderSize is the length in bytes of a stream's header, and footer.
	HeaderSize = 12
	// MaxBlocks is the most blocks of a file.
	MaxBlocks = 1 << 20
	maxIndex  = 32 << 20
)

// Check says what stands behind each block.
type Check byte

// SHA256 is the check that this package compares.
const SHA256 Check = 0x0a

// File is the structure of a file.
type File struct {
	Check  Check
	Blocks []Block
	// Size is that of the whole content in bytes.
	Size int64
}

// Block is a piece that can be decompressed by itself, behind the stream's
// header.
type Block struct {
	Offset, Length int64 // in the file, padding included
	Start, Size    int64 // of what it holds in the content
	// Dictionary is the memory in bytes that a decoder needs.
	Dictionary uint64
	unpadded   int64
}

// Read reads the structure of the file of size bytes in r. Errors wrap
// [ErrFormat] or [ErrLimit], or are r's.
func Read(r io.ReaderAt, size int64) (*File, error) {
	if size < 2*HeaderSize {
		return nil, fmt.Errorf("read xz file: %w: %d bytes", ErrFormat, size)
	}
	var header, footer [HeaderSize]byte
	if err := readAt(r, header[:], 0); err != nil {
		return nil, fmt.Errorf("read xz file: %w", err)
	}
	if err := readAt(r, footer[:], size-HeaderSize); err != nil {
		return nil, fmt.Errorf("read xz file: %w", err)
	}
	if string(header[:6]) != "\xfd7zXZ\x00" || header[6] != 0 || header[7] > 0x0f || le.Uint32(header[8:]) != crc32.ChecksumIEEE(header[6:8]) {
		return nil, fmt.Errorf("read xz file: %w: stream header", ErrFormat)
	}
	if string(footer[10:]) != "YZ" || string(footer[8:10]) != string(header[6:8]) || le.Uint32(footer[:]) != crc32.ChecksumIEEE(footer[4:10]) {
		return nil, fmt.Errorf("read xz file: %w: stream footer", ErrFormat)
	}
	f := &File{Check: Check(header[7])}
	if err := f.readIndex(r, size-HeaderSize, (int64(le.Uint32(footer[4:]))+1)*4); err != nil {
		return nil, fmt.Errorf("read xz file: %w", err)
	}
	for i := range f.Blocks {
		if err := f.Blocks[i].readHeader(r); err != nil {
			return nil, fmt.Errorf("read xz file: block %d: %w", i, err)
		}
	}
	return f, nil
}

var le = binary.LittleEndian

// readIndex reads the index, which ends at end.
func (f *File) readIndex(r io.ReaderAt, end, size int64) error {
	start := end - size
	if size > maxIndex || start < HeaderSize {
		return fmt.Errorf("%w: index of %d bytes", ErrFormat, size)
	}
	index := make([]byte, size)
	if err := readAt(r, index, start); err != nil {
		return err
	}
	body := index[:size-4]
	if le.Uint32(index[size-4:]) != crc32.ChecksumIEEE(body) || body[0] != 0 {
		return fmt.Errorf("%w: index", ErrFormat)
	}
	b := numbers{rest: body[1:]}
	count := b.next()
	if count > MaxBlocks {
		return fmt.Errorf("%d blocks: %w", count, ErrLimit)
	}
	at := int64(HeaderSize)
	for range count {
		n := Block{Offset: at, unpadded: b.next(), Start: f.Size, Size: b.next()}
		if b.bad || n.unpadded < 5 {
			return fmt.Errorf("%w: index", ErrFormat)
		}
		n.Length = (n.unpadded + 3) &^ 3
		at += n.Length
		f.Size += n.Size
		f.Blocks = append(f.Blocks, n)
	}
	if b.bad || at != start {
		return fmt.Errorf("%w: blocks end at %d, the index is at %d", ErrFormat, at, start)
	}
	return nil
}

// readHeader reads a block's header and refuses what is not plain LZMA2.
func (b *Block) readHeader(r io.ReaderAt) error {
	var size [1]byte
	if err := readAt(r, size[:], b.Offset); err != nil {
		return err
	}
	h := make([]byte, (int64(size[0])+1)*4)
	if size[0] == 0 || int64(len(h)) > b.Length {
		return fmt.Errorf("%w: it has no header", ErrFormat)
	}
	if err := readAt(r, h, b.Offset); err != nil {
		return err
	}
	if le.Uint32(h[len(h)-4:]) != crc32.ChecksumIEEE(h[:len(h)-4]) {
		return fmt.Errorf("%w: header checksum", ErrFormat)
	}
	if h[1]&3 != 0 {
		return fmt.Errorf("%w: it has a chain of filters", ErrFormat)
	}
	fields := numbers{rest: h[2:]}
	for _, flag := range []byte{0x40, 0x80} { // sizes that may stand here
		if h[1]&flag != 0 {
			fields.next()
		}
	}
	filter, properties, bits := fields.next(), fields.next(), fields.next()
	if fields.bad || filter != 0x21 || properties != 1 || bits > 40 {
		return fmt.Errorf("%w: filter %#x", ErrFormat, filter)
	}
	b.Dictionary = uint64(2|bits&1) << (bits/2 + 11)
	return nil
}

// Digest is the SHA-256 that stands behind block i of the file in r.
func (f *File) Digest(r io.ReaderAt, i int) (sum [sha256.Size]byte, err error) {
	b := f.Blocks[i]
	if f.Check != SHA256 || b.unpadded < sha256.Size {
		return sum, fmt.Errorf("xz file: %w", ErrCheck)
	}
	if err := readAt(r, sum[:], b.Offset+b.Length-sha256.Size); err != nil {
		return sum, fmt.Errorf("xz file: block %d: %w", i, err)
	}
	return sum, nil
}

// numbers reads multibyte integers one after another.
type numbers struct {
	rest []byte
	bad  bool
}

func (n *numbers) next() int64 {
	v, k := binary.Uvarint(n.rest)
	if k <= 0 || v > 1<<50 {
		n.bad = true
		return 0
	}
	n.rest = n.rest[k:]
	return int64(v)
}

func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: cut off", ErrFormat)
	}
	return err
}
