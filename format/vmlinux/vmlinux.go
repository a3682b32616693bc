// Package vmlinux reads Linux kernels in ELF (the generic ABI, x86-64
// little-endian) as far as the machine that runs them would: the loadable
// segments.
//
// The kernel exists twice in a build: as the file vmlinux with symbols and
// notes, and stripped (objcopy -R .comment -S, followed by the relocations)
// inside a bzImage. The bytes of the files differ; what is loaded is the same.
// So two kernels are equal here when their loadable segments are: the same
// addresses, sizes and bytes.
package vmlinux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrInvalid reports bytes that are not a kernel this package understands.
var ErrInvalid = errors.New("invalid kernel")

// ErrDifferent reports two kernels that are not the same.
var ErrDifferent = errors.New("kernels differ")

const (
	headerSize  = 64
	programSize = 56
	typeLoad    = 1
	maxSegments = 64
)

// Segment is a loadable part of a kernel.
type Segment struct {
	Virtual  uint64 // address it runs at
	Physical uint64 // address it is loaded to, before relocation
	Offset   uint64 // of its bytes in the file
	Size     uint64 // of its bytes in the file; what is left of Memory is zero
	Memory   uint64 // size in memory
	Flags    uint32 // readable, writable, executable
}

// Segments lists the loadable segments of an ELF file in the order of its
// program headers, all inside of the file. Bytes after the ELF file's parts
// (a bzImage's relocations) are allowed.
func Segments(file []byte) ([]Segment, error) {
	if len(file) < headerSize || !bytes.Equal(file[:7], []byte("\x7fELF\x02\x01\x01")) {
		return nil, fmt.Errorf("read segments: %w: not a 64-bit little-endian ELF file", ErrInvalid)
	}
	if machine := binary.LittleEndian.Uint16(file[18:]); machine != 62 {
		return nil, fmt.Errorf("read segments: %w: machine %d, want 62 (x86-64)", ErrInvalid, machine)
	}
	start := binary.LittleEndian.Uint64(file[32:])
	size := binary.LittleEndian.Uint16(file[54:])
	count := uint64(binary.LittleEndian.Uint16(file[56:]))
	if size != programSize || count > maxSegments || !inside(file, start, count*programSize) {
		return nil, fmt.Errorf("read segments: %w: %d program headers of %d bytes at %d", ErrInvalid, count, size, start)
	}
	var segments []Segment
	for i := range count {
		header := file[start+i*programSize:][:programSize]
		if binary.LittleEndian.Uint32(header) != typeLoad {
			continue
		}
		s := Segment{
			Flags:    binary.LittleEndian.Uint32(header[4:]),
			Offset:   binary.LittleEndian.Uint64(header[8:]),
			Virtual:  binary.LittleEndian.Uint64(header[16:]),
			Physical: binary.LittleEndian.Uint64(header[24:]),
			Size:     binary.LittleEndian.Uint64(header[32:]),
			Memory:   binary.LittleEndian.Uint64(header[40:]),
		}
		if !inside(file, s.Offset, s.Size) || s.Memory < s.Size || s.Virtual+s.Memory < s.Virtual {
			return nil, fmt.Errorf("read segments: %w: segment %d lies outside of the file or of memory", ErrInvalid, i)
		}
		segments = append(segments, s)
	}
	if len(segments) == 0 {
		return nil, fmt.Errorf("read segments: %w: nothing to load", ErrInvalid)
	}
	return segments, nil
}

func inside(file []byte, offset, length uint64) bool {
	return offset <= uint64(len(file)) && length <= uint64(len(file))-offset
}

// Offset returns where in the file the length bytes at a virtual address are.
// They must lie within one segment's bytes.
func Offset(segments []Segment, address, length uint64) (uint64, error) {
	for _, s := range segments {
		if address >= s.Virtual && address-s.Virtual <= s.Size && length <= s.Size-(address-s.Virtual) {
			return s.Offset + (address - s.Virtual), nil
		}
	}
	return 0, fmt.Errorf("find address %#x: %w: no segment holds %d bytes there", address, ErrInvalid, length)
}

// Same compares what two kernels load. The error wraps ErrDifferent and names
// the first address at which they differ.
func Same(a, b []byte) error {
	as, err := Segments(a)
	if err != nil {
		return fmt.Errorf("compare kernels: first: %w", err)
	}
	bs, err := Segments(b)
	if err != nil {
		return fmt.Errorf("compare kernels: second: %w", err)
	}
	if len(as) != len(bs) {
		return fmt.Errorf("compare kernels: %w: %d and %d segments", ErrDifferent, len(as), len(bs))
	}
	for i, s := range as {
		o := bs[i]
		if s.Virtual != o.Virtual || s.Physical != o.Physical || s.Size != o.Size || s.Memory != o.Memory || s.Flags != o.Flags {
			return fmt.Errorf("compare kernels: %w: segment %d has another place, size or protection", ErrDifferent, i)
		}
		x, y := a[s.Offset:s.Offset+s.Size], b[o.Offset:o.Offset+o.Size]
		if bytes.Equal(x, y) {
			continue
		}
		for j := range x {
			if x[j] != y[j] {
				return fmt.Errorf("compare kernels: %w: first at address %#x", ErrDifferent, s.Virtual+uint64(j))
			}
		}
	}
	return nil
}
