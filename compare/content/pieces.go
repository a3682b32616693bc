package content

import (
	"bytes"
	"container/list"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	format "github.com/mastercard/mangos/format/xz"
)

const (
	maxPiece   = 8 << 20  // what a segment that is decompressed at once may hold
	keptPieces = 32 << 20 // bytes of them that are kept for each content
	decoders   = 4        // segments that are decompressed at the same time
)

// inPieces reports whether each of the segments is small enough to be decompressed
// at once, with the memory that its decoder asks for.
func inPieces(list []segment) bool {
	for _, s := range list {
		if s.outLength < 0 || max(s.inLength, s.outLength, s.memory) > maxPiece {
			return false
		}
	}
	return len(list) > 0
}

// pieces reads content that was compressed in small segments: several at the same
// time, in any order. It keeps those that were read last.
type pieces struct {
	in       Content
	segments []segment
	decode   func(dst, src []byte) error // may be called by several goroutines
	slots    chan []byte                 // memory for compressed bytes

	mu     sync.Mutex
	held   int64
	kept   map[int]*list.Element
	recent list.List // of *piece, most recent first
}

// piece is a segment, decompressed by whoever needs it first.
type piece struct {
	index int
	once  sync.Once
	b     []byte
	err   error
}

func newPieces(in Content, a Algorithm, segments []segment) (*pieces, error) {
	p := &pieces{in: in, segments: segments, slots: make(chan []byte, decoders), kept: map[int]*list.Element{}}
	for range decoders {
		p.slots <- nil
	}
	if a == XZ {
		p.decode = p.decodeXZ
		return p, nil
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(decoders), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxPiece), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	p.decode = func(dst, src []byte) error {
		b, err := d.DecodeAll(src, dst[:0])
		if err == nil && len(b) != len(dst) {
			err = fmt.Errorf("%d bytes in a frame of %d", len(b), len(dst))
		}
		return err
	}
	return p, nil
}

// decodeXZ reads a block behind the stream's header: by itself it is no stream.
func (p *pieces) decodeXZ(dst, src []byte) error {
	head, err := Prefix(p.in, format.HeaderSize)
	if err != nil {
		return err
	}
	r, err := xz.NewReader(io.MultiReader(bytes.NewReader(head), bytes.NewReader(src)), maxPiece)
	if err == nil {
		_, err = io.ReadFull(r, dst)
	}
	return err
}

// ReadAt implements [io.ReaderAt] for what lies within the segments.
func (p *pieces) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) {
		i := segmentAt(p.segments, off)
		s := p.segments[i]
		part := b[n:min(int64(len(b)), int64(n)+s.out+s.outLength-off)]
		if err := p.read(part, i, off-s.out); err != nil {
			return n, err
		}
		n, off = n+len(part), off+int64(len(part))
	}
	return n, nil
}

// read reads from one segment. A segment that is asked for as a whole is not kept:
// it is read on a way through everything.
func (p *pieces) read(b []byte, index int, off int64) error {
	whole := int64(len(b)) == p.segments[index].outLength
	k := p.piece(index, !whole)
	if k == nil {
		return p.decompress(b, index)
	}
	k.once.Do(func() {
		k.b = make([]byte, p.segments[index].outLength)
		k.err = p.decompress(k.b, index)
	})
	if k.err == nil {
		copy(b, k.b[off:])
	}
	return k.err
}

// piece is the segment as it is kept, made if it is not and wanted says so.
func (p *pieces) piece(index int, wanted bool) *piece {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.kept[index]; ok {
		p.recent.MoveToFront(e)
		return e.Value.(*piece)
	}
	if !wanted {
		return nil
	}
	k := &piece{index: index}
	p.kept[index] = p.recent.PushFront(k)
	for p.held += p.segments[index].outLength; p.held > keptPieces; {
		last := p.recent.Remove(p.recent.Back()).(*piece)
		delete(p.kept, last.index)
		p.held -= p.segments[last.index].outLength
	}
	return k
}

func (p *pieces) decompress(b []byte, index int) error {
	s := p.segments[index]
	src := <-p.slots
	defer func() { p.slots <- src }()
	src = slices.Grow(src[:0], int(s.inLength))[:s.inLength]
	if err := ReadFull(p.in, src, s.in); err != nil {
		return err
	}
	if err := p.decode(b, src); err != nil {
		return fmt.Errorf("%w: %w", ErrCompressed, err)
	}
	return nil
}
