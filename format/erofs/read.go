package erofs

import (
	"fmt"
	"io"
	"sync"
)

// ReadAt reads the file's content, decompressed. It implements [io.ReaderAt]
// and may be called by several goroutines. Each call decodes what it needs
// anew: read in large pieces, or go through the file with a [Reader].
func (i *Inode) ReadAt(b []byte, off int64) (n int, err error) {
	r := Reader{inode: i}
	return r.ReadAt(b, off)
}

// Reader reads a file and keeps the last decoded extent, so that reading on in
// small pieces is cheap. It must not be used by several goroutines.
type Reader struct {
	inode   *Inode
	extent  Extent
	decoded []byte // of extent, if not nil
}

// Open is a reader of the file's content.
func (i *Inode) Open() *Reader { return &Reader{inode: i} }

// ReadAt implements [io.ReaderAt], but for the use by several goroutines.
func (r *Reader) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at negative offset %d", off)
	}
	for n < len(b) {
		if off >= r.inode.Size {
			return n, io.EOF
		}
		k, err := r.readSome(b[n:], off)
		if err != nil {
			return n, err
		}
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// readSome reads from one extent, at least one byte.
func (r *Reader) readSome(b []byte, off int64) (int, error) {
	x := r.extent
	if off < x.Logical || off >= x.Logical+x.Length {
		var err error
		if x, err = r.inode.ExtentAt(off); err != nil {
			return 0, err
		}
		r.extent, r.decoded = x, nil
	}
	skip := off - x.Logical
	b = b[:min(int64(len(b)), x.Length-skip)]
	img := r.inode.img
	switch x.Encoding {
	case Hole:
		clear(b)
		return len(b), nil
	case Raw:
		return len(b), img.ReadRaw(b, x.Physical+skip)
	case Fragment:
		packed, err := img.fragments()
		if err != nil {
			return 0, err
		}
		if r.inode.NID == packed.NID {
			return 0, fmt.Errorf("inode %d: %w: a fragment of itself", packed.NID, ErrCorrupt)
		}
		return packed.ReadAt(b, x.Physical+skip)
	}
	if r.decoded == nil {
		decoded := make([]byte, x.Length)
		if err := r.inode.decode(decoded, x); err != nil {
			return 0, err
		}
		r.decoded = decoded
	}
	return copy(b, r.decoded[skip:]), nil
}

// pieceSize is how much is written at once of what is stored as it is.
const pieceSize = 256 << 10

// WriteTo writes the whole content to w, each extent as it comes out of the decoder. It
// implements [io.WriterTo].
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	p := buffers.Get().(*[]byte)
	defer buffers.Put(p)
	for n < r.inode.Size {
		x, err := r.inode.ExtentAt(n)
		if err != nil {
			return n, err
		}
		var piece []byte
		if x.Encoding.Compressed() || x.Encoding == Interlaced {
			piece = sized(p, x.Length)
			if err := r.inode.decode(piece, x); err != nil {
				return n, err
			}
			piece = piece[n-x.Logical:]
		} else {
			piece = sized(p, min(pieceSize, x.Logical+x.Length-n))
			if _, err := r.ReadAt(piece, n); err != nil {
				return n, err
			}
		}
		written, err := w.Write(piece)
		if n += int64(written); err != nil {
			return n, err
		}
	}
	return n, nil
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, pieceSize); return &b }}

// sized makes a buffer so long; what is in it is of no meaning.
func sized(p *[]byte, n int64) []byte {
	if int64(cap(*p)) < n {
		*p = make([]byte, n)
	}
	return (*p)[:n]
}

// decode reads and decodes a whole extent into out, which has its length.
func (i *Inode) decode(out []byte, x Extent) error {
	p := buffers.Get().(*[]byte)
	defer buffers.Put(p)
	stored := sized(p, x.Stored)
	err := i.img.ReadRaw(stored, x.Physical)
	switch {
	case err != nil:
		return err
	case x.Encoding == Interlaced:
		err = rotate(out, stored, x.Logical&(i.img.super.BlockSize()-1))
	default:
		err = decompress(x.Encoding, out, stored, i.img.super.has(featZeroPadding), x.Partial)
	}
	if err != nil {
		return fmt.Errorf("inode %d: offset %d: %w", i.NID, x.Logical, err)
	}
	return nil
}

// rotate undoes the interlaced layout: the byte for offset o of a block lies at
// offset o of the stored block, wherever the extent starts.
func rotate(out, stored []byte, start int64) error {
	if len(out) > len(stored) || start >= int64(len(stored)) {
		return fmt.Errorf("%w: %d bytes stored in %d", ErrCorrupt, len(out), len(stored))
	}
	n := copy(out, stored[start:])
	copy(out[n:], stored)
	return nil
}
