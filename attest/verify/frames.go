package verify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// maxFrame is the size in bytes of the largest frame that is decompressed beside
// others, packed and unpacked.
const maxFrame = 8 << 20

// frame is a zstd frame that stands by itself and says how much it unpacks to.
type frame struct {
	packed []byte
	size   int64
}

// frames reads the frames of a disk image one by one.
type frames struct{ in *bufio.Reader }

// next returns the next frame. It reports false, and has taken nothing, where there
// is none that can be decompressed beside others: at the end, or because it is too
// large or does not say its size.
func (f frames) next() (frame, bool, error) {
	start, err := f.in.Peek(zstd.HeaderMaxSize)
	if err != nil && err != io.EOF {
		return frame{}, false, err
	}
	var h zstd.Header
	if len(start) == 0 || h.Decode(start) != nil || h.Skippable || !h.HasFCS || h.FrameContentSize > maxFrame || h.DictionaryID != 0 {
		return frame{}, false, nil
	}
	x := frame{size: int64(h.FrameContentSize)}
	if err := f.take(&x, h.HeaderSize); err != nil {
		return frame{}, false, err
	}
	for last := false; !last; {
		if err := f.take(&x, 3); err != nil {
			return frame{}, false, err
		}
		// RFC 8878, section 3.1.1.2: whether it is the last, its type and its size.
		b := x.packed[len(x.packed)-3:]
		block := binary.LittleEndian.Uint32([]byte{b[0], b[1], b[2], 0})
		size := int(block >> 3)
		if block>>1&3 == 1 {
			size = 1 // one byte that is repeated
		}
		if err := f.take(&x, size); err != nil {
			return frame{}, false, err
		}
		last = block&1 == 1
	}
	if h.HasCheckSum {
		if err := f.take(&x, 4); err != nil {
			return frame{}, false, err
		}
	}
	return x, true, nil
}

// take adds the next n bytes to what is packed.
func (f frames) take(x *frame, n int) error {
	at := len(x.packed)
	if at+n > maxFrame {
		return fmt.Errorf("a frame of %d bytes has more than %d, packed", x.size, maxFrame)
	}
	x.packed = append(x.packed, make([]byte, n)...)
	if _, err := io.ReadFull(f.in, x.packed[at:]); err != nil {
		return fmt.Errorf("a frame ends early: %w", err)
	}
	return nil
}

// unpacker decompresses frames into a file, several at once.
type unpacker struct {
	to *sparse
	z  *zstd.Decoder
	// zeros is what zeros are packed to: most of a disk image. The same bytes need
	// not be decompressed again.
	zeros   atomic.Pointer[frame]
	buffers sync.Pool // of *[]byte
	// content is how many bytes are not zero.
	content atomic.Int64
}

// fillFrames writes what the leading frames of in hold, but for blocks of zeros.
func (s *sparse) fillFrames(ctx context.Context, in *bufio.Reader) error {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxFrame), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer z.Close()
	u := &unpacker{to: s, z: z}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	err = u.each(ctx, frames{in}, g)
	if failed := g.Wait(); failed != nil {
		return failed // and because of that there was no next one
	}
	return err
}

// each hands the frames to the group.
func (u *unpacker) each(ctx context.Context, f frames, g *errgroup.Group) error {
	for ctx.Err() == nil {
		x, ok, err := f.next()
		if err != nil || !ok {
			return err
		}
		at := u.to.size
		if u.to.size += x.size; u.to.size > maxDisk {
			return fmt.Errorf("it has more than %d bytes, unpacked", int64(maxDisk))
		}
		if zeros := u.zeros.Load(); zeros == nil || zeros.size != x.size || !bytes.Equal(zeros.packed, x.packed) {
			g.Go(func() error { return u.unpack(x, at) })
		}
	}
	return ctx.Err()
}

// unpack writes what a frame holds to its place.
func (u *unpacker) unpack(x frame, at int64) error {
	buffer, _ := u.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	defer u.buffers.Put(buffer)
	data, err := u.z.DecodeAll(x.packed, (*buffer)[:0])
	if err != nil {
		return err
	}
	*buffer = data
	if int64(len(data)) != x.size {
		return fmt.Errorf("a frame unpacks to %d bytes and says %d", len(data), x.size)
	}
	n, err := u.to.put(data, at)
	if u.content.Add(n) > maxContent {
		return fmt.Errorf("it has more than %d bytes of content", int64(maxContent))
	}
	if n == 0 && err == nil {
		u.zeros.Store(&x)
	}
	return err
}
