package erofs

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// decompress fills out from the stored bytes of a cluster. With padding, the
// compressed bytes end where the cluster ends and zeros stand before them.
// Partial clusters hold more than out.
func decompress(algorithm Encoding, out, stored []byte, padding, partial bool) error {
	if padding {
		stored = bytes.TrimLeft(stored, "\x00")
	}
	if len(stored) == 0 {
		return fmt.Errorf("%w: empty %v cluster", ErrCorrupt, algorithm)
	}
	var err error
	switch algorithm {
	case LZ4:
		err = decodeLZ4(out, stored, partial || !padding)
	case Deflate:
		_, err = io.ReadFull(flate.NewReader(bytes.NewReader(stored)), out)
	case Zstd:
		err = decodeZstd(out, stored)
	default:
		return fmt.Errorf("%w: %v compression", ErrUnsupported, algorithm)
	}
	if err != nil {
		return fmt.Errorf("%w: %v cluster: %w", ErrCorrupt, algorithm, err)
	}
	return nil
}

var zstdDecoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(2*maxDecodedSize))
	if err != nil {
		return err
	}
	return d
}}

func decodeZstd(out, stored []byte) error {
	got := zstdDecoders.Get()
	d, ok := got.(*zstd.Decoder)
	if !ok {
		return got.(error)
	}
	defer zstdDecoders.Put(d)
	if err := d.Reset(bytes.NewReader(stored)); err != nil {
		return err
	}
	_, err := io.ReadFull(d, out)
	return err
}
