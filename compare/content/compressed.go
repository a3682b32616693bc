package content

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"container/list"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	format "github.com/mastercard/mangos/format/xz"
)

// Algorithm is a way of compressing a whole content.
type Algorithm string

// The algorithms that are decompressed.
const (
	None Algorithm = ""
	Gzip Algorithm = "gzip"
	Zstd Algorithm = "zstd"
	XZ   Algorithm = "xz"
)

const (
	maxWindow       = 64 << 20 // memory that a decoder may ask for
	maxDecompressed = 64 << 30
	cacheBlock      = 256 << 10
	cacheBlocks     = 160 // 40 MiB for each content
)

// ErrCompressed says that compressed bytes do not follow their format.
var ErrCompressed = errors.New("malformed compressed data")

// DetectAlgorithm tells the algorithm by the first bytes.
func DetectAlgorithm(c Content) (Algorithm, error) {
	b, err := Prefix(c, 6)
	switch {
	case err != nil:
		return None, err
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return Zstd, nil
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b, 8}):
		return Gzip, nil
	case bytes.HasPrefix(b, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return XZ, nil
	}
	return None, nil
}

// segment is a piece that can be decompressed by itself.
type segment struct {
	in, inLength   int64
	out, outLength int64 // outLength is -1 if it is not known
	memory         int64 // that the decoder asks for besides
}

// Decompressed is compressed content, read decompressed. It decompresses what
// is asked for, again if need be, and keeps the last pieces: cheap to read
// anywhere, and by several goroutines, if the input comes in small segments (zstd
// frames, xz blocks), else forward only. Memory: 40 MiB and the decoder's window.
type Decompressed struct {
	in        Content
	algorithm Algorithm
	segments  []segment
	size      int64
	pieces    *pieces // nil where the segments are too large for it
	likeness  likeness

	mu      sync.Mutex
	zstd    *zstd.Decoder // both are used again: their windows are large
	xz      *xz.Reader
	decoder io.Reader
	pos     int64
	blocks  map[int64]*list.Element
	recent  list.List // of *cachedBlock, most recent first
}

type cachedBlock struct {
	index int64
	b     []byte
}

// Decompress opens compressed content. Where the format does not tell the
// size, everything is decompressed once to learn it. Input that needs more
// memory than the limit, or grows beyond it, is refused.
func Decompress(in Content, a Algorithm) (*Decompressed, error) {
	d := &Decompressed{in: in, algorithm: a, blocks: map[int64]*list.Element{}}
	var err error
	switch a {
	case Zstd:
		d.segments, err = zstdFrames(in)
	case XZ:
		d.segments, err = xzBlocks(in)
	case Gzip:
		d.segments = []segment{{inLength: in.Size(), outLength: -1}}
	default:
		err = fmt.Errorf("unknown algorithm %q", a)
	}
	if err == nil {
		err = d.measure()
	}
	if err == nil && a != Gzip && inPieces(d.segments) {
		d.pieces, err = newPieces(in, a, d.segments)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", a, err)
	}
	return d, nil
}

// Algorithm is what the content is compressed with.
func (d *Decompressed) Algorithm() Algorithm { return d.algorithm }

// Size is the decompressed size.
func (d *Decompressed) Size() int64 { return d.size }

// measure fills in sizes that the format leaves out.
func (d *Decompressed) measure() error {
	var out int64
	for n := range d.segments {
		s := &d.segments[n]
		s.out = out
		if s.outLength < 0 {
			r, err := d.open(*s)
			if err != nil {
				return err
			}
			k, err := io.Copy(io.Discard, io.LimitReader(r, maxDecompressed-out+1))
			if err != nil {
				return fmt.Errorf("%w: %w", ErrCompressed, err)
			}
			s.outLength = k
		}
		if s.outLength > maxDecompressed-out {
			return fmt.Errorf("decompressed size: %w", ErrLimit)
		}
		out += s.outLength
	}
	d.segments = slices.DeleteFunc(d.segments, func(s segment) bool { return s.outLength == 0 })
	d.size = out
	return nil
}

func (d *Decompressed) open(s segment) (io.Reader, error) {
	in := Reader(Section(d.in, s.in, s.inLength))
	var err error
	switch d.algorithm {
	case Zstd:
		if d.zstd == nil {
			d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
		}
		return d.zstd, d.zstd.Reset(in)
	case XZ:
		if d.xz == nil {
			if d.xz, err = xz.NewReader(nil, maxWindow); err != nil {
				return nil, err
			}
		}
		// A block by itself is no stream: it is read behind the header.
		return d.xz, d.xz.Reset(io.MultiReader(Reader(Section(d.in, 0, format.HeaderSize)), in))
	}
	return gzip.NewReader(in)
}

// ReadAt implements [io.ReaderAt].
func (d *Decompressed) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 || off >= d.size {
		return 0, io.EOF
	}
	if d.pieces != nil {
		n, err = d.pieces.ReadAt(b[:min(int64(len(b)), d.size-off)], off)
		if err != nil {
			err = fmt.Errorf("decompress %s: %w", d.algorithm, err)
		} else if n < len(b) {
			err = io.EOF
		}
		return n, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for n < len(b) {
		if off >= d.size {
			return n, io.EOF
		}
		block, err := d.block(off / cacheBlock)
		if err != nil {
			return n, fmt.Errorf("decompress %s: %w", d.algorithm, err)
		}
		k := copy(b[n:], block[off%cacheBlock:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

func (d *Decompressed) block(index int64) ([]byte, error) {
	if e, ok := d.blocks[index]; ok {
		d.recent.MoveToFront(e)
		return e.Value.(*cachedBlock).b, nil
	}
	if err := d.seek(index * cacheBlock); err != nil {
		return nil, err
	}
	for {
		at := d.pos / cacheBlock
		b, err := d.decodeBlock()
		if err != nil {
			d.decoder = nil
			return nil, err
		}
		d.keep(at, b)
		if at == index {
			return b, nil
		}
	}
}

// seek makes the decoder stand at the start of a block at or before target.
func (d *Decompressed) seek(target int64) error {
	if d.decoder != nil && d.pos <= target && d.pos >= d.segmentAt(target).out {
		return nil
	}
	s := d.segmentAt(target)
	r, err := d.open(s)
	if err != nil {
		return err
	}
	d.decoder, d.pos = r, s.out
	// Blocks do not begin where segments do: throw away up to the next one.
	return d.skip(min(-s.out&(cacheBlock-1), target-s.out))
}

// segmentAt is the segment to start in so that the block at off comes whole.
func (d *Decompressed) segmentAt(off int64) segment {
	return d.segments[segmentAt(d.segments, off)]
}

// segmentAt is the index of the segment that off lies in.
func segmentAt(list []segment, off int64) int {
	i, found := slices.BinarySearchFunc(list, off, func(s segment, off int64) int { return cmp.Compare(s.out, off) })
	if !found {
		i--
	}
	return i
}

func (d *Decompressed) skip(n int64) error {
	k, err := io.CopyN(io.Discard, d.decoder, n)
	d.pos += k
	return err
}

// decodeBlock decodes the block that starts at pos, across segments.
func (d *Decompressed) decodeBlock() ([]byte, error) {
	b := make([]byte, min(cacheBlock, d.size-d.pos))
	for n := 0; n < len(b); {
		s := d.segmentAt(d.pos)
		if d.decoder == nil || s.out == d.pos {
			r, err := d.open(s)
			if err != nil {
				return nil, err
			}
			d.decoder = r
		}
		part := b[n:min(int64(len(b)), int64(n)+s.out+s.outLength-d.pos)]
		k, err := io.ReadFull(d.decoder, part)
		n, d.pos = n+k, d.pos+int64(k)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCompressed, err)
		}
	}
	return b, nil
}

func (d *Decompressed) keep(index int64, b []byte) {
	if d.recent.Len() >= cacheBlocks {
		last := d.recent.Back()
		delete(d.blocks, last.Value.(*cachedBlock).index)
		d.recent.Remove(last)
	}
	d.blocks[index] = d.recent.PushFront(&cachedBlock{index, b})
}
