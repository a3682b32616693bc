// Package content gives random access to the bytes that are compared, wherever
// they lie: in a file, in a part of one, or compressed inside of another. It
// compares two of them in bounded memory.
package content

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Content is a sequence of bytes of known length. ReadAt may be called by
// several goroutines.
type Content interface {
	io.ReaderAt
	Size() int64
}

// ErrLimit says that something is larger than what this package accepts.
var ErrLimit = errors.New("larger than the limit")

// Bytes is content in memory.
func Bytes(b []byte) Content { return bytes.NewReader(b) }

// Section is n bytes of c from off on. It is cut where c ends.
func Section(c Content, off, n int64) Content {
	off = min(max(off, 0), c.Size())
	n = min(max(n, 0), c.Size()-off)
	if s, ok := c.(*section); ok {
		return &section{s.in, s.off + off, n}
	}
	return &section{c, off, n}
}

type section struct {
	in     Content
	off, n int64
}

func (s *section) Size() int64 { return s.n }

func (s *section) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off >= s.n {
		return 0, io.EOF
	}
	short := int64(len(b)) > s.n-off
	if short {
		b = b[:s.n-off]
	}
	n, err := s.in.ReadAt(b, s.off+off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// Of makes content of a reader whose size is known.
func Of(r io.ReaderAt, size int64) Content { return &reader{r, size} }

type reader struct {
	io.ReaderAt
	size int64
}

func (r *reader) Size() int64 { return r.size }

// Zeros is content of n zeros.
func Zeros(n int64) Content { return zeros(n) }

type zeros int64

func (z zeros) Size() int64 { return int64(z) }

func (z zeros) ReadAt(b []byte, off int64) (int, error) {
	n := min(int64(len(b)), max(0, int64(z)-off))
	clear(b[:n])
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// File is an open regular file.
type File struct {
	*os.File
	size int64
}

// Size is the file's size when it was opened.
func (f *File) Size() int64 { return f.size }

// Open opens a regular file. A symbolic link as the last part of path is an
// error, and so is anything that is not a regular file: it could block, or
// lead out of the folder that it lies in.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.ELOOP) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("is a symbolic link")}
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("is not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{f, info.Size()}, nil
}

// ReadFull fills b from off on. A content that ends early is an error.
func ReadFull(c Content, b []byte, off int64) error {
	n, err := c.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
}

// ReadAll reads the whole content, which must not be larger than limit.
func ReadAll(c Content, limit int64) ([]byte, error) {
	if c.Size() > limit {
		return nil, fmt.Errorf("%d bytes, at most %d are read: %w", c.Size(), limit, ErrLimit)
	}
	b := make([]byte, c.Size())
	return b, ReadFull(c, b, 0)
}

// Prefix reads up to n bytes from the start.
func Prefix(c Content, n int64) ([]byte, error) {
	b := make([]byte, min(n, c.Size()))
	return b, ReadFull(c, b, 0)
}

// Digest is the SHA-256 of the content.
func Digest(c Content) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, Reader(c), make([]byte, blockSize)); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Reader reads the content from its start. It fails if the content ends
// before its size.
func Reader(c Content) io.Reader { return &sequential{c: c} }

type sequential struct {
	c   Content
	off int64
}

func (s *sequential) Read(b []byte) (int, error) {
	left := s.c.Size() - s.off
	if left == 0 {
		return 0, io.EOF
	}
	n, err := s.c.ReadAt(b[:min(int64(len(b)), left)], s.off)
	s.off += int64(n)
	if errors.Is(err, io.EOF) && s.off < s.c.Size() {
		err = io.ErrUnexpectedEOF
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
