package content

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/format/xz"
)

const maxSegments = 1 << 20

// zstdFrames lists the frames of a zstd file by going from block header to
// block header, without decompressing (RFC 8878, section 3.1).
func zstdFrames(c Content) ([]segment, error) {
	var list []segment
	for off := int64(0); off < c.Size(); {
		length, out, err := ZstdFrame(Section(c, off, c.Size()-off))
		if err != nil {
			return nil, fmt.Errorf("frame at %d: %w", off, err)
		}
		if out != 0 {
			list = append(list, segment{in: off, inLength: length, outLength: out})
		}
		if len(list) > maxSegments {
			return nil, fmt.Errorf("more than %d frames: %w", maxSegments, ErrLimit)
		}
		off += length
	}
	return list, nil
}

// ZstdFrame measures the frame at the start of c: its length, and the size of
// what it holds, -1 if the frame does not say it. A skippable frame holds
// nothing.
func ZstdFrame(c Content) (length, out int64, err error) {
	b, err := Prefix(c, 18)
	if err != nil || len(b) < 6 {
		return 0, 0, fmt.Errorf("%w: cut off", ErrCompressed)
	}
	le := binary.LittleEndian
	if le.Uint32(b)&^15 == 0x184d2a50 {
		if len(b) < 8 {
			return 0, 0, fmt.Errorf("%w: cut off", ErrCompressed)
		}
		length = 8 + int64(le.Uint32(b[4:]))
		if length > c.Size() {
			return 0, 0, fmt.Errorf("%w: cut off", ErrCompressed)
		}
		return length, 0, nil
	}
	if le.Uint32(b) != 0xfd2fb528 {
		return 0, 0, fmt.Errorf("%w: no frame", ErrCompressed)
	}
	descriptor := b[4]
	header := int64(5)
	single := descriptor&0x20 != 0
	if !single {
		header++
	}
	header += []int64{0, 1, 2, 4}[descriptor&3]
	sizeBytes := []int64{0, 2, 4, 8}[descriptor>>6]
	if sizeBytes == 0 && single {
		sizeBytes = 1
	}
	if header+sizeBytes > int64(len(b)) {
		return 0, 0, fmt.Errorf("%w: cut off", ErrCompressed)
	}
	var raw [8]byte
	copy(raw[:], b[header:header+sizeBytes])
	out = int64(le.Uint64(raw[:]))
	switch {
	case sizeBytes == 0:
		out = -1
	case sizeBytes == 2:
		out += 256
	}
	if out < -1 || out > maxDecompressed {
		return 0, 0, fmt.Errorf("frame content size: %w", ErrLimit)
	}
	length, err = zstdBlocks(c, header+sizeBytes)
	if descriptor&4 != 0 {
		length += 4
	}
	if err == nil && length > c.Size() {
		err = fmt.Errorf("%w: cut off", ErrCompressed)
	}
	return length, out, err
}

// zstdBlocks is the offset after the last block of a frame.
func zstdBlocks(c Content, off int64) (int64, error) {
	for {
		var b [4]byte
		if err := ReadFull(c, b[:3], off); err != nil {
			return 0, fmt.Errorf("%w: block header: %w", ErrCompressed, err)
		}
		head := binary.LittleEndian.Uint32(b[:])
		size := int64(head >> 3)
		switch head >> 1 & 3 {
		case 1:
			size = 1
		case 3:
			return 0, fmt.Errorf("%w: reserved block type", ErrCompressed)
		}
		off += 3 + size
		if head&1 != 0 {
			return off, nil
		}
	}
}

// xzBlocks lists the blocks of a single xz stream, and refuses one whose
// dictionary is larger than what a decoder may take.
func xzBlocks(c Content) ([]segment, error) {
	f, err := xz.Read(c, c.Size())
	switch {
	case errors.Is(err, xz.ErrLimit):
		return nil, fmt.Errorf("%w: %w", ErrLimit, err)
	case errors.Is(err, xz.ErrFormat):
		return nil, fmt.Errorf("%w: %w", ErrCompressed, err)
	case err != nil:
		return nil, err
	}
	list := make([]segment, len(f.Blocks))
	for i, b := range f.Blocks {
		if b.Dictionary > maxWindow {
			return nil, fmt.Errorf("dictionary of %d bytes: %w", b.Dictionary, ErrLimit)
		}
		list[i] = segment{in: b.Offset, inLength: b.Length, outLength: b.Size, memory: int64(b.Dictionary)}
	}
	return list, nil
}
