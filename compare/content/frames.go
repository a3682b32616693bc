package content

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
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

const xzHeaderSize = 12

// xzBlocks lists the blocks of a single xz stream from its index, which lies
// at the end (The .xz File Format 1.2.1).
func xzBlocks(c Content) ([]segment, error) {
	var footer [12]byte
	if c.Size() < 2*xzHeaderSize {
		return nil, fmt.Errorf("%w: cut off", ErrCompressed)
	}
	if err := ReadFull(c, footer[:], c.Size()-12); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if string(footer[10:]) != "YZ" || le.Uint32(footer[:]) != crc32.ChecksumIEEE(footer[4:10]) {
		return nil, fmt.Errorf("%w: stream footer", ErrCompressed)
	}
	size := (int64(le.Uint32(footer[4:])) + 1) * 4
	start := c.Size() - 12 - size
	if size > 32<<20 || start < xzHeaderSize {
		return nil, fmt.Errorf("%w: index of %d bytes", ErrCompressed, size)
	}
	index := make([]byte, size)
	if err := ReadFull(c, index, start); err != nil {
		return nil, err
	}
	if le.Uint32(index[size-4:]) != crc32.ChecksumIEEE(index[:size-4]) {
		return nil, fmt.Errorf("%w: index checksum", ErrCompressed)
	}
	list, end, err := xzRecords(index[:size-4])
	if err != nil {
		return nil, err
	}
	if end != start {
		return nil, fmt.Errorf("%w: blocks end at %d, the index is at %d", ErrCompressed, end, start)
	}
	for _, s := range list {
		if err := checkXZBlock(c, s.in); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func xzRecords(index []byte) (list []segment, end int64, err error) {
	b := index[1:]
	number := func() int64 {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > 1<<50 {
			err = fmt.Errorf("%w: index", ErrCompressed)
			return 0
		}
		b = b[k:]
		return int64(n)
	}
	if index[0] != 0 {
		return nil, 0, fmt.Errorf("%w: index", ErrCompressed)
	}
	count := number()
	if count > maxSegments {
		return nil, 0, fmt.Errorf("%d blocks: %w", count, ErrLimit)
	}
	off := int64(xzHeaderSize)
	for range count {
		unpadded, out := number(), number()
		if err != nil {
			return nil, 0, err
		}
		list = append(list, segment{in: off, inLength: (unpadded + 3) &^ 3, outLength: out})
		off += (unpadded + 3) &^ 3
	}
	return list, off, err
}

// checkXZBlock refuses blocks that are not plain LZMA2, or whose dictionary
// is larger than what a decoder may take.
func checkXZBlock(c Content, off int64) error {
	var b [64]byte
	n := min(int64(len(b)), c.Size()-off)
	if n < 8 {
		return fmt.Errorf("%w: block header", ErrCompressed)
	}
	if err := ReadFull(c, b[:n], off); err != nil {
		return err
	}
	if b[1]&3 != 0 {
		return fmt.Errorf("%w: a chain of filters", ErrLimit)
	}
	p := 2
	for _, flag := range []byte{0x40, 0x80} { // sizes that may stand here
		if b[1]&flag != 0 {
			_, k := binary.Uvarint(b[p:])
			if k <= 0 {
				return fmt.Errorf("%w: block header", ErrCompressed)
			}
			p += k
		}
	}
	if b[p] != 0x21 || b[p+1] != 1 {
		return fmt.Errorf("%w: filter %#x", ErrCompressed, b[p])
	}
	bits := uint(b[p+2])
	if bits > 40 {
		return fmt.Errorf("%w: dictionary size", ErrCompressed)
	}
	if dictionary := uint64(2|bits&1) << (bits/2 + 11); dictionary > maxWindow {
		return fmt.Errorf("dictionary of %d bytes: %w", dictionary, ErrLimit)
	}
	return nil
}
