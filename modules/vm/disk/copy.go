// Package disk changes private copies of a disk image, as someone could who has the disk
// in their hands: bytes of a file system, of its hash tree, its signature, and the files
// of the EFI system partition.
package disk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// MaxSize bounds, in bytes, an image that is unpacked.
const MaxSize = 16 << 30

// ErrTooLarge says that an image is larger than MaxSize.
var ErrTooLarge = errors.New("disk image too large")

// Copy makes a private copy of the image from: sharing its blocks where the file system
// can, else of its data without its holes.
func Copy(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy image: %w", err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("copy image: %w", err)
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil {
		return nil
	}
	if err := copyData(dst, src); err != nil {
		return fmt.Errorf("copy image %s: %w", from, err)
	}
	return nil
}

// copyData copies what lies between the holes of src.
func copyData(dst, src *os.File) error {
	st, err := src.Stat()
	if err != nil {
		return err
	}
	size := st.Size()
	if err := dst.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); at < size; {
		begin, err := unix.Seek(int(src.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // nothing but a hole is left
		}
		if err != nil {
			return fmt.Errorf("find data at %d: %w", at, err)
		}
		end, err := unix.Seek(int(src.Fd()), begin, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("find hole at %d: %w", begin, err)
		}
		// As sections, so that the two offsets of the descriptors do not matter.
		if _, err := io.Copy(io.NewOffsetWriter(dst, begin), io.NewSectionReader(src, begin, end-begin)); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// Unpack decompresses the zstd file from into the sparse file to.
func Unpack(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	defer src.Close()
	z, err := zstd.NewReader(src, zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return fmt.Errorf("unpack image %s: %w", from, err)
	}
	defer z.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if err := unpack(dst, z); err != nil {
		return fmt.Errorf("unpack image %s: %w", from, err)
	}
	return nil
}

// unpack writes what r holds, leaving holes for blocks of zeros.
func unpack(dst *os.File, r io.Reader) error {
	buf := make([]byte, 1<<20)
	zero := make([]byte, 64<<10)
	size := int64(0)
	for {
		n, err := io.ReadFull(r, buf)
		for at := 0; at < n; at += len(zero) {
			block := buf[at:min(n, at+len(zero))]
			if string(block) == string(zero[:len(block)]) {
				continue
			}
			if _, err := dst.WriteAt(block, size+int64(at)); err != nil {
				return err
			}
		}
		size += int64(n)
		switch {
		case size > MaxSize:
			return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxSize)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return dst.Truncate(size)
		case err != nil:
			return err
		}
	}
}
