package release

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// FrameSize is how much of a file each zstd frame holds. It is small, so that a
// reader gets to any place soon, and the pieces that are the same in two images are
// the same in their compressed files.
const FrameSize = 1 << 20

// Zstd compresses a file into zstd frames of FrameSize each, which stand by
// themselves (RFC 8878, section 3.1): decoders read them as one stream. Each says
// its size and bears a checksum. The number of processors does not show in the
// result.
func Zstd(ctx context.Context, in, out string) error {
	return compress(in, out, func(r io.Reader, w io.Writer) error {
		return writeFrames(ctx, w, r, runtime.NumCPU())
	})
}

// frame is a frame, or why there is none.
type frame struct {
	b   []byte
	err error
}

// writeFrames compresses some frames at once and writes them in order.
func writeFrames(ctx context.Context, w io.Writer, r io.Reader, workers int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	queue := make(chan chan frame, workers)
	go func() {
		defer close(queue)
		for first := true; ; first = false {
			made := make(chan frame, 1)
			piece := make([]byte, FrameSize)
			n, err := io.ReadFull(r, piece)
			last := err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)
			if n == 0 && last && !first {
				return
			}
			select {
			case queue <- made:
			case <-ctx.Done():
				return
			}
			if err != nil && !last {
				made <- frame{err: err}
				return
			}
			go func() { made <- compressFrame(piece[:n]) }()
			if last {
				return
			}
		}
	}()
	for made := range queue {
		f := <-made
		if f.err != nil {
			return f.err
		}
		if _, err := w.Write(f.b); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// zeros is a frame of zeros, which most of a disk is: to make an encoder for each would
// take longer than all else.
var zeros = sync.OnceValue(func() frame { return newFrame(make([]byte, FrameSize)) })

// compressFrame returns the frame of a piece.
func compressFrame(piece []byte) frame {
	if len(piece) == FrameSize && allZero(piece) {
		return zeros()
	}
	return newFrame(piece)
}

func allZero(piece []byte) bool {
	return piece[0] == 0 && bytes.Equal(piece[1:], piece[:len(piece)-1])
}

// newFrame uses a new encoder each time: nothing of the frames before it can show in
// the result.
func newFrame(piece []byte) frame {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithSingleSegment(true), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		return frame{err: err}
	}
	defer e.Close()
	return frame{b: e.EncodeAll(piece, make([]byte, 0, len(piece)))}
}
