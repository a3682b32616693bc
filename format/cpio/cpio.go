// Package cpio writes and reads archives in the "newc" format, the one that
// the kernel unpacks into its initial RAM file system.
//
// Specification: the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst.
package cpio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

const (
	magic      = "070701"
	trailer    = "TRAILER!!!"
	headerSize = 110

	// MaxName bounds the length in bytes of a name, the kernel's PATH_MAX.
	MaxName = 4096
	// MaxSize bounds the size in bytes of a file: its field has 32 bits.
	MaxSize = 1<<32 - 1
)

// File type bits of a mode, as in stat(2).
const (
	TypeMask    = 0o170000
	TypeRegular = 0o100000
	TypeDir     = 0o040000
	TypeSymlink = 0o120000
	TypeChar    = 0o020000
	TypeBlock   = 0o060000
	TypeFIFO    = 0o010000
)

// ErrFormat is wrapped by every error that says that bytes are not an archive
// of this format, or that something cannot be put into one.
var ErrFormat = errors.New("not a usable newc archive")

// Header describes one member. Owner, group and time are zero in what Writer
// writes, and each member has an inode number and one link.
type Header struct {
	// Name is the path, relative, without a leading "/" or "./".
	Name string
	// Mode holds the type and permission bits, as in stat(2).
	Mode uint32
	// Size is the size in bytes of the content: of a regular file, or of a
	// symlink's target.
	Size int64
	// Major and Minor number a device.
	Major, Minor uint32
}

// Writer writes an archive. Members come out in the order of the calls; the
// archive depends on nothing else.
type Writer struct {
	w      io.Writer
	inode  uint32
	at     int64
	remain int64
	err    error
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WriteHeader begins a member, whose h.Size bytes of content are to be written
// next. The previous member must be complete.
func (w *Writer) WriteHeader(h *Header) error {
	if err := checkName(h.Name); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if h.Size < 0 || h.Size > MaxSize {
		return fmt.Errorf("write archive: %q has %d bytes: %w", h.Name, h.Size, ErrFormat)
	}
	if t := h.Mode & TypeMask; h.Size > 0 && t != TypeRegular && t != TypeSymlink {
		return fmt.Errorf("write archive: %q has content, but is neither a file nor a symlink: %w", h.Name, ErrFormat)
	}
	w.inode++
	return w.header(h, w.inode)
}

func (w *Writer) header(h *Header, inode uint32) error {
	if w.err != nil {
		return w.err
	}
	if w.remain > 0 {
		return fmt.Errorf("write archive: %q begins, but %d bytes of the member before it are missing: %w", h.Name, w.remain, ErrFormat)
	}
	w.pad()
	w.print("%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", magic,
		inode, h.Mode, 0, 0, 1, 0, h.Size, 0, 0, h.Major, h.Minor, len(h.Name)+1, 0, h.Name)
	w.pad()
	w.remain = h.Size
	return w.err
}

// Write writes content of the current member.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if int64(len(p)) > w.remain {
		return 0, fmt.Errorf("write archive: %d bytes too many for the member: %w", int64(len(p))-w.remain, ErrFormat)
	}
	n, err := w.w.Write(p)
	w.at, w.remain, w.err = w.at+int64(n), w.remain-int64(n), err
	return n, err
}

// Close writes the end of the archive, padded to 4 bytes so that another may
// follow. It does not close the underlying writer.
func (w *Writer) Close() error {
	if err := w.header(&Header{Name: trailer}, 0); err != nil {
		return err
	}
	w.pad()
	return w.err
}

func (w *Writer) print(format string, a ...any) {
	if w.err == nil {
		var n int
		n, w.err = fmt.Fprintf(w.w, format, a...)
		w.at += int64(n)
	}
}

// pad fills up to the next multiple of 4 bytes.
func (w *Writer) pad() { w.print("%s", "\x00\x00\x00"[:(4-w.at%4)%4]) }

// checkName refuses a name that could land outside the archive's root, or
// that the format cannot hold.
func checkName(name string) error {
	switch {
	case name == trailer || strings.ContainsRune(name, 0):
		return fmt.Errorf("member name %q cannot be stored: %w", name, ErrFormat)
	case name != "." && !fs.ValidPath(name):
		return fmt.Errorf("member name %q is not a clean relative path: %w", name, ErrFormat)
	case len(name) >= MaxName:
		return fmt.Errorf("member name of %d bytes: %w", len(name), ErrFormat)
	}
	return nil
}
