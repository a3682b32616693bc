// Package payload compresses the kernel inside a bzImage so that the bytes of
// a window in it stand uncompressed in the file, at an offset that does not
// depend on what they are.
//
// A certificate can then be put into a bzImage without compressing the kernel
// again or linking the boot wrapper: the files of two organisations differ in
// the window, and nowhere else.
//
// The payload stays one ordinary zstd frame. It is joined from blocks:
//
//	filler   empty blocks, so that the payload keeps its length
//	head     the kernel up to the window, compressed by itself
//	window   a raw block, up to a run of zeros and eight of them
//	reset    nine more zeros, as three matches of distance 8, 4 and 1
//	tail     the rest of the kernel, compressed by itself
//
// The tail was compressed as a frame of its own, where a decoder starts with
// the repeated offsets 1, 4 and 8 (RFC 8878, section 3.1.1.5). In the joined
// frame it starts with whatever the head left. The reset puts 1, 4 and 8 back.
package payload

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/format/bzimage"
	"github.com/mastercard/mangos/format/zstdframe"
)

// ErrTooLarge reports a payload that became longer than it may be.
var ErrTooLarge = errors.New("payload does not fit")

// ErrWindow reports a window that cannot be kept uncompressed.
var ErrWindow = errors.New("bad window")

const (
	// zeros is the length of the run of zeros that the reset needs: eight to
	// look back on, and what the matches make.
	zeros = 8 + resetLength
	// resetLength is how many bytes of the kernel the reset stands for.
	resetLength = 9
	// maxRaw bounds what stands uncompressed: one block.
	maxRaw = zstdframe.MaxBlock
)

// Compress makes a zstd frame of its input: one frame, without a dictionary.
type Compress func(content []byte) ([]byte, error)

// Pack compresses the kernel of a bzImage anew. The result has the length of
// the image, and differs from it in the payload and the checksum. The length
// bytes of the kernel at the offset given stand uncompressed in the result, at
// the offset returned.
func Pack(image *bzimage.Image, offset, length uint64, compress Compress) (packed []byte, at int, err error) {
	kernel, err := image.Kernel()
	if err != nil {
		return nil, 0, fmt.Errorf("pack kernel: %w", err)
	}
	start, size := image.Payload()
	frame, window, err := join(kernel, offset, length, size-4, compress)
	if err != nil {
		return nil, 0, fmt.Errorf("pack kernel: %w", err)
	}
	packed = bytes.Clone(image.Bytes())
	copy(packed[start:], frame)
	result, err := bzimage.Parse(packed)
	if err != nil {
		return nil, 0, fmt.Errorf("pack kernel: %w", err)
	}
	result.SetChecksum()
	again, err := result.Kernel()
	if err != nil {
		return nil, 0, fmt.Errorf("pack kernel: read back: %w", err)
	}
	if !bytes.Equal(again, kernel) {
		return nil, 0, errors.New("pack kernel: the kernel read back is another one")
	}
	return packed, start + window, nil
}

// join makes the frame of exactly size bytes, and says where in it the window
// starts.
func join(kernel []byte, offset, length uint64, size int, compress Compress) (frame []byte, window int, err error) {
	if length == 0 || offset == 0 || offset >= uint64(len(kernel)) || length > uint64(len(kernel))-offset {
		return nil, 0, fmt.Errorf("%w: %d bytes at %d of %d", ErrWindow, length, offset, len(kernel))
	}
	end, err := rawEnd(kernel, offset+length)
	if err != nil {
		return nil, 0, err
	}
	if end-offset > maxRaw {
		return nil, 0, fmt.Errorf("%w: %d bytes would stand uncompressed, the limit is %d", ErrWindow, end-offset, maxRaw)
	}
	head, err := blocks(kernel[:offset], compress, false)
	if err != nil {
		return nil, 0, err
	}
	tail, err := blocks(kernel[end+resetLength:], compress, true)
	if err != nil {
		return nil, 0, err
	}
	raw := kernel[offset:end]
	header := zstdframe.AppendFrameHeader(nil, uint64(len(kernel)))
	fill, err := filler(size - len(header) - len(head) - zstdframe.HeaderSize - len(raw) - len(reset()) - len(tail))
	if err != nil {
		return nil, 0, err
	}
	frame = append(append(header, fill...), head...)
	frame = zstdframe.AppendHeader(frame, zstdframe.Raw, len(raw), false)
	window = len(frame)
	frame = append(append(append(frame, raw...), reset()...), tail...)
	return frame, window, nil
}

// rawEnd returns the end of the first eight zeros of a run of zeros at or after
// the offset that is long enough for the reset, with something behind it.
func rawEnd(kernel []byte, from uint64) (uint64, error) {
	limit := min(uint64(len(kernel)), from+maxRaw)
	i := bytes.Index(kernel[from:limit], make([]byte, zeros))
	if i < 0 || from+uint64(i)+zeros >= uint64(len(kernel)) {
		return 0, fmt.Errorf("%w: no %d zeros follow it", ErrWindow, zeros)
	}
	return from + uint64(i) + zeros - resetLength, nil
}

// blocks compresses content and returns the blocks of the frame without header
// and checksum. Only the last block of a frame is marked as such; if another
// frame's blocks follow, the mark is taken off.
func blocks(content []byte, compress Compress, last bool) ([]byte, error) {
	data, err := compress(content)
	if err != nil {
		return nil, err
	}
	frame, err := zstdframe.Parse(data)
	if err != nil {
		return nil, err
	}
	if frame.Length != len(data) {
		return nil, fmt.Errorf("%w: the compressor wrote more than one frame", zstdframe.ErrInvalid)
	}
	final := frame.Blocks[len(frame.Blocks)-1]
	if !last {
		data[final.Offset] &^= 1
	}
	return data[frame.Blocks[0].Offset : final.Offset+zstdframe.HeaderSize+final.Stored], nil
}

// reset returns three blocks of one match each: three bytes from a distance of
// 8, 4 and 1. A decoder's repeated offsets are 1, 4, 8 thereafter.
func reset() []byte {
	var out []byte
	for _, match := range []struct{ code, extra byte }{{3, 3}, {2, 3}, {2, 0}} { // offset value = distance + 3 = 2^code + extra
		out = zstdframe.AppendHeader(out, zstdframe.Compressed, 7, false)
		out = append(out,
			0x00,                   // no literals, raw
			0x01,                   // one sequence
			0x54,                   // each of its three codes is given by one byte
			0x00, match.code, 0x00, // literal length 0, offset code, match length 3
			1<<match.code|match.extra, // the offset's extra bits under the end mark
		)
	}
	return out
}

// filler returns empty blocks of n bytes in all: raw ones take 3 bytes, and
// ones of no repetitions 4.
func filler(n int) ([]byte, error) {
	long := n % 3 // so many times 4 leave a multiple of 3
	if n < 0 || n < long*4 {
		return nil, fmt.Errorf("%w: %d bytes are left for filling", ErrTooLarge, n)
	}
	var out []byte
	for range long {
		out = append(zstdframe.AppendHeader(out, zstdframe.RLE, 0, false), 0)
	}
	return append(out, make([]byte, n-len(out))...), nil
}
