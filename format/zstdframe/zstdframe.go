// Package zstdframe reads the outer structure of Zstandard frames (RFC 8878,
// section 3.1.1): the header and the blocks, without decompressing them.
package zstdframe

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrInvalid reports bytes that are not a Zstandard frame.
var ErrInvalid = errors.New("invalid zstd frame")

// Magic is the number that a frame starts with, as it stands in the file.
const Magic = "\x28\xb5\x2f\xfd"

// MaxBlock is the largest size of a block, compressed or not, in bytes.
const MaxBlock = 128 << 10

// Type tells how a block is stored.
type Type uint8

// The types of blocks.
const (
	Raw        Type = 0
	RLE        Type = 1
	Compressed Type = 2
)

// Block is one block of a frame.
type Block struct {
	Offset int  // of its header, from the start of the frame
	Type   Type // how it is stored
	Size   int  // of its stored bytes; of RLE: how often its one byte is repeated
	Stored int  // bytes that follow the header
}

// HeaderSize is the length of a block's header in bytes.
const HeaderSize = 3

// AppendHeader appends a block's header. The size is what Block.Size says.
func AppendHeader(to []byte, typ Type, size int, last bool) []byte {
	v := uint32(size)<<3 | uint32(typ)<<1
	if last {
		v |= 1
	}
	return append(to, byte(v), byte(v>>8), byte(v>>16))
}

// Frame is the outline of a frame.
type Frame struct {
	Window   uint64 // bytes of history that a decoder must keep
	Content  int64  // decompressed size, -1 if the frame does not say
	Checksum bool   // the last 4 bytes are a checksum of the content
	Blocks   []Block
	Length   int // of the whole frame in bytes; others may follow
}

// Parse reads the frame that the data starts with.
func Parse(data []byte) (*Frame, error) {
	var blocks []Block
	frame, err := Walk(data, func(b Block) error {
		blocks = append(blocks, b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	frame.Blocks = blocks
	return frame, nil
}

// Walk reads the frame that the data starts with, and hands its blocks to visit, whose
// error ends it; the frame that it returns has none. It needs no memory for them, of
// which a frame may have one in four bytes.
func Walk(data []byte, visit func(Block) error) (*Frame, error) {
	frame, at, err := parseHeader(data)
	if err != nil {
		return nil, fmt.Errorf("read zstd frame: %w", err)
	}
	for last := false; !last; {
		var block Block
		if block, last, err = parseBlock(data, at); err != nil {
			return nil, fmt.Errorf("read zstd frame: %w", err)
		}
		if err := visit(block); err != nil {
			return nil, fmt.Errorf("read zstd frame: %w", err)
		}
		at += HeaderSize + block.Stored
	}
	if frame.Checksum {
		if len(data)-at < 4 {
			return nil, fmt.Errorf("read zstd frame: %w: it ends before its checksum", ErrInvalid)
		}
		at += 4
	}
	frame.Length = at
	return frame, nil
}

// parseBlock reads the block at a place, and whether it is the frame's last.
func parseBlock(data []byte, at int) (block Block, last bool, err error) {
	if len(data)-at < HeaderSize {
		return block, false, fmt.Errorf("%w: it ends within a block header at %d", ErrInvalid, at)
	}
	v := int(data[at]) | int(data[at+1])<<8 | int(data[at+2])<<16
	block = Block{Offset: at, Type: Type(v >> 1 & 3), Size: v >> 3}
	switch {
	case block.Type > Compressed, block.Size > MaxBlock:
		return block, false, fmt.Errorf("%w: block at %d has type %d and size %d", ErrInvalid, at, block.Type, block.Size)
	case block.Type == RLE:
		block.Stored = 1
	default:
		block.Stored = block.Size
	}
	if len(data)-at-HeaderSize < block.Stored {
		return block, false, fmt.Errorf("%w: it ends within the block at %d", ErrInvalid, block.Offset)
	}
	return block, v&1 == 1, nil
}

func parseHeader(data []byte) (*Frame, int, error) {
	if len(data) < 6 || string(data[:4]) != Magic {
		return nil, 0, fmt.Errorf("%w: no magic number", ErrInvalid)
	}
	descriptor := data[4]
	single := descriptor&0x20 != 0
	if descriptor&0x08 != 0 {
		return nil, 0, fmt.Errorf("%w: reserved bit set", ErrInvalid)
	}
	if descriptor&3 != 0 {
		return nil, 0, fmt.Errorf("%w: it needs a dictionary", ErrInvalid)
	}
	frame := &Frame{Content: -1, Checksum: descriptor&0x04 != 0}
	at := 5
	if !single {
		exponent, mantissa := data[at]>>3, data[at]&7
		base := uint64(1) << (10 + exponent)
		frame.Window = base + base/8*uint64(mantissa)
		at++
	}
	size := [...]int{0, 2, 4, 8}[descriptor>>6]
	if single && size == 0 {
		size = 1
	}
	if len(data)-at < size {
		return nil, 0, fmt.Errorf("%w: it ends within its header", ErrInvalid)
	}
	if size > 0 {
		content := contentSize(data[at : at+size])
		if content > 1<<62 {
			return nil, 0, fmt.Errorf("%w: content of %d bytes", ErrInvalid, content)
		}
		frame.Content = int64(content)
	}
	if single {
		frame.Window = uint64(frame.Content)
	}
	return frame, at + size, nil
}

func contentSize(field []byte) uint64 {
	switch len(field) {
	case 1:
		return uint64(field[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(field)) + 256
	case 4:
		return uint64(binary.LittleEndian.Uint32(field))
	}
	return binary.LittleEndian.Uint64(field)
}

// AppendFrameHeader appends the header of a frame whose window is its whole
// content, of the given size, without checksum.
func AppendFrameHeader(to []byte, content uint64) []byte {
	to = append(to, Magic...)
	to = append(to, 0xe0)
	return binary.LittleEndian.AppendUint64(to, content)
}
