package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Limits of a disk image.
const (
	maxDisk    = 64 << 30 // bytes, unpacked
	maxContent = 16 << 30 // of these, bytes that are not zero
	maxWindow  = 128 << 20
	unpackUnit = 64 << 10
)

// sparse is an unpacked disk image in a temporary file that has no name.
type sparse struct {
	*os.File
	size int64
}

// unpack decompresses a disk image while its compressed bytes are hashed: what
// comes out is what the digest is of. Blocks of zeros become holes. The digest
// is complete even when the image turns out to be malformed.
func (f *file) unpack(ctx context.Context) (*sparse, error) {
	h := sha256.New()
	in := io.TeeReader(struct{ io.Reader }{f.f}, h)
	d, err := decompress(ctx, in)
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
	z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	f, err := os.CreateTemp("", "attest-verify-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	s := &sparse{File: f}
	if err := s.fill(ctx, whole{z}); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// whole is a stream whose early end is not taken for the end of its content.
type whole struct{ io.Reader }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends early")
	}
	return n, err
}

// fill writes what r holds, but for blocks of zeros.
func (s *sparse) fill(ctx context.Context, r io.Reader) error {
	block, zeros := make([]byte, unpackUnit), make([]byte, unpackUnit)
	var content int64
	for {
		n, err := io.ReadFull(r, block)
		if n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
			if content += int64(n); content > maxContent {
				return fmt.Errorf("it has more than %d bytes of content", int64(maxContent))
			}
			if _, err := s.WriteAt(block[:n], s.size); err != nil {
				return err
			}
		}
		if s.size += int64(n); s.size > maxDisk {
			return fmt.Errorf("it has more than %d bytes, unpacked", int64(maxDisk))
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return s.Truncate(s.size)
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
