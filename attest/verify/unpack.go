package verify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/format/zstdframe"
)

// Limits of a disk image.
const (
	maxDisk    = 64 << 30 // bytes, unpacked
	maxContent = 16 << 30 // of these, bytes that are not zero
	maxFrame   = 8 << 20  // bytes of a zstd frame, packed and unpacked; a release's hold 1 MiB
	unpackUnit = 64 << 10
)

// sparse is an unpacked disk image in a temporary file that has no name.
type sparse struct {
	*os.File
	size int64

	mu     sync.Mutex
	filled map[int64]bool // units that may hold something else than zeros
}

// unpack decompresses a disk image while its compressed bytes are hashed: what
// comes out is what the digest is of. Blocks of zeros become holes. The digest
// is complete even when the image turns out to be malformed.
func (f *file) unpack(ctx context.Context) (*sparse, error) {
	h := sha256.New()
	d, err := decompress(ctx, io.TeeReader(struct{ io.Reader }{f.f}, h))
	n, rest := io.Copy(h, f.f)
	f.sum = hex.EncodeToString(h.Sum(nil))
	if err == nil && n > 0 {
		err = errors.New("something follows its compressed content")
	}
	if err = errors.Join(err, rest); err != nil {
		if d != nil {
			d.Close()
		}
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return d, nil
}

func decompress(ctx context.Context, in io.Reader) (*sparse, error) {
	f, err := os.CreateTemp("", "attest-verify-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	s := &sparse{File: f, filled: map[int64]bool{}}
	if err := s.fill(ctx, bufio.NewReaderSize(in, maxFrame)); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// fill writes what the frames of in hold, several at once.
func (s *sparse) fill(ctx context.Context, in *bufio.Reader) error {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return err
	}
	defer z.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	u := &unpacker{to: s, z: z}
	err = u.each(ctx, in, g)
	if failed := g.Wait(); failed != nil {
		return failed // and because of that the others were not read
	}
	if err != nil {
		return err
	}
	return s.Truncate(s.size)
}

// unpacker decompresses frames into a file.
type unpacker struct {
	to *sparse
	z  *zstd.Decoder
	// zeros is a frame that holds zeros, of which most of a disk image consists. The
	// same bytes need not be decompressed again.
	zeros   atomic.Pointer[[]byte]
	buffers sync.Pool // of *frame
	content atomic.Int64
}

// frame is a frame, packed and unpacked.
type frame struct{ packed, data []byte }

// each hands the frames to the group, one after the other.
func (u *unpacker) each(ctx context.Context, in *bufio.Reader, g *errgroup.Group) error {
	for ctx.Err() == nil {
		packed, size, err := nextFrame(in)
		if err != nil || packed == nil {
			return err
		}
		at := u.to.size
		if u.to.size += size; u.to.size > maxDisk {
			return fmt.Errorf("it has more than %d bytes, unpacked", int64(maxDisk))
		}
		if zeros := u.zeros.Load(); zeros == nil || !bytes.Equal(*zeros, packed) {
			x, _ := u.buffers.Get().(*frame)
			if x == nil {
				x = &frame{}
			}
			x.packed = append(x.packed[:0], packed...)
			g.Go(func() error { return u.unpack(x, size, at) })
		}
		if _, err := in.Discard(len(packed)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// nextFrame returns the frame that in begins with, which stays there, and the size of
// what it holds; nil at the end.
func nextFrame(in *bufio.Reader) ([]byte, int64, error) {
	for n := unpackUnit; ; n *= 4 {
		b, err := in.Peek(min(max(n, in.Buffered()), maxFrame))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		if len(b) == 0 {
			return nil, 0, nil
		}
		switch outline, malformed := zstdframe.Parse(b); {
		case malformed == nil && (outline.Content < 0 || outline.Content > maxFrame):
			return nil, 0, fmt.Errorf("a frame of it does not say its size, or that it has more than %d bytes", maxFrame)
		case malformed == nil:
			return b[:outline.Length], outline.Content, checkFrame(outline)
		case err != nil || len(b) == maxFrame: // and not because there is more of it
			return nil, 0, malformed
		}
	}
}

// checkFrame refuses what a decoder drops: a frame or block of nothing may have bytes.
func checkFrame(f *zstdframe.Frame) error {
	if f.Content == 0 {
		return errors.New("a frame of it holds 0 bytes")
	}
	for _, b := range f.Blocks {
		if b.Size == 0 {
			return errors.New("a block of it holds nothing")
		}
	}
	return nil
}

// unpack writes what a frame holds to its place.
func (u *unpacker) unpack(x *frame, size, at int64) (err error) {
	defer u.buffers.Put(x)
	if x.data, err = u.z.DecodeAll(x.packed, x.data[:0]); err != nil {
		return err
	}
	if int64(len(x.data)) != size {
		return fmt.Errorf("a frame of it unpacks to %d bytes and says %d", len(x.data), size)
	}
	n, err := u.to.put(x.data, at)
	if u.content.Add(n) > maxContent {
		return fmt.Errorf("it has more than %d bytes of content", int64(maxContent))
	}
	if n == 0 && err == nil {
		zeros := bytes.Clone(x.packed)
		u.zeros.Store(&zeros)
	}
	return err
}

// zeros is a unit of them.
var zeros [unpackUnit]byte

// put writes data to its place, but for blocks of zeros, and returns how many bytes it
// wrote.
func (s *sparse) put(data []byte, at int64) (content int64, err error) {
	for len(data) > 0 {
		block := data[:min(int64(len(data)), unpackUnit-at%unpackUnit)]
		if !bytes.Equal(block, zeros[:len(block)]) {
			s.mu.Lock()
			s.filled[at/unpackUnit] = true
			s.mu.Unlock()
			if _, err := s.WriteAt(block, at); err != nil {
				return content, err
			}
			content += int64(len(block))
		}
		data, at = data[len(block):], at+int64(len(block))
	}
	return content, nil
}

// checkZeros makes sure that nothing hides between two places. It reads only what was
// written.
func (s *sparse) checkZeros(from, to int64) error {
	block := make([]byte, unpackUnit)
	for from < to {
		n := min(to-from, unpackUnit-from%unpackUnit)
		if s.filled[from/unpackUnit] {
			if _, err := s.ReadAt(block[:n], from); err != nil {
				return err
			}
			if !bytes.Equal(block[:n], zeros[:n]) {
				return errors.New("there is something else than zeros")
			}
		}
		from += n
	}
	return nil
}
