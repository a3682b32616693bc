// Package elf lists the parts of an ELF file: headers and sections, where they
// lie and what they are called. It reads in place and keeps nothing but the
// list. Unlike debug/elf it is meant for foreign files: whatever they claim is
// checked against their size first, and the list is bounded.
//
// The format: Tool Interface Standard, ELF Specification 1.2, and its 64-bit
// extension.
package elf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrNotELF says that the file does not start like an ELF file.
	ErrNotELF = errors.New("not an ELF file")
	// ErrCorrupt says that the file contradicts the format.
	ErrCorrupt = errors.New("corrupt ELF file")
)

const (
	maxSections = 100_000
	maxNames    = 16 << 20 // bytes of section names
	maxName     = 1024
)

// Section types that matter here.
const (
	TypeNull   = 0
	TypeNote   = 7
	TypeNoBits = 8
)

// Part is a run of bytes of the file.
type Part struct{ Offset, Size int64 }

// Section is one entry of the section header table.
type Section struct {
	Name string // unescaped; empty for a file without names
	Type uint32
	Part // in the file; a section of type TypeNoBits takes no bytes
	Addr uint64
}

// File is the list of parts.
type File struct {
	Bits     int // 32 or 64
	Machine  uint16
	Header   Part
	Programs Part // program header table
	Headers  Part // section header table
	Sections []Section
}

// Open reads the headers of the file of size bytes in r.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("read ELF headers: %w", err)
	}
	return f, nil
}

type header struct {
	programs, sections       uint64
	size, programSize, count uint16
	sectionSize, sectionNum  uint16
	names                    uint16
}

func read(r io.ReaderAt, size int64) (*File, error) {
	var b [64]byte
	n := min(int64(len(b)), size)
	if n < 52 {
		return nil, ErrNotELF
	}
	if _, err := r.ReadAt(b[:n], 0); err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.HasPrefix(b[:], []byte("\x7fELF")) || b[4] != 1 && b[4] != 2 {
		return nil, ErrNotELF
	}
	if b[5] != 1 {
		return nil, fmt.Errorf("%w: not little-endian", ErrCorrupt)
	}
	le := binary.LittleEndian
	f := &File{Bits: 32 * int(b[4]), Machine: le.Uint16(b[18:])}
	h := header{programs: uint64(le.Uint32(b[28:])), sections: uint64(le.Uint32(b[32:]))}
	rest := b[40:52]
	if f.Bits == 64 {
		if n < 64 {
			return nil, fmt.Errorf("%w: cut off", ErrCorrupt)
		}
		h = header{programs: le.Uint64(b[32:]), sections: le.Uint64(b[40:])}
		rest = b[52:64]
	}
	for k, p := range []*uint16{&h.size, &h.programSize, &h.count, &h.sectionSize, &h.sectionNum, &h.names} {
		*p = le.Uint16(rest[2*k:])
	}
	return f, f.tables(r, size, h)
}

func (f *File) tables(r io.ReaderAt, size int64, h header) error {
	var err error
	if f.Header, err = part(0, uint64(h.size), size); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if f.Programs, err = part(h.programs, uint64(h.programSize)*uint64(h.count), size); err != nil {
		return fmt.Errorf("program headers: %w", err)
	}
	if h.sections == 0 {
		return nil
	}
	want := 40
	if f.Bits == 64 {
		want = 64
	}
	if int(h.sectionSize) != want {
		return fmt.Errorf("%w: section headers of %d bytes", ErrCorrupt, h.sectionSize)
	}
	count, names := uint64(h.sectionNum), uint32(h.names)
	if first, err := part(h.sections, uint64(want), size); err != nil {
		return fmt.Errorf("section headers: %w", err)
	} else if count == 0 || names == 0xffff { // real numbers in the first one
		s, link, err := f.section(r, first.Offset)
		if err != nil {
			return err
		}
		if count == 0 {
			count = uint64(s.Size)
		}
		if names == 0xffff {
			names = link
		}
	}
	if count > maxSections {
		return fmt.Errorf("%w: %d sections", ErrCorrupt, count)
	}
	if f.Headers, err = part(h.sections, count*uint64(want), size); err != nil {
		return fmt.Errorf("section headers: %w", err)
	}
	return f.readSections(r, size, int64(want), names)
}

func part(offset, length uint64, size int64) (Part, error) {
	if offset > uint64(size) || length > uint64(size)-offset {
		return Part{}, fmt.Errorf("%w: %d bytes at %d of %d", ErrCorrupt, length, offset, size)
	}
	return Part{int64(offset), int64(length)}, nil
}

// rawSection is a section with the index of its name.
type rawSection struct {
	Section
	name uint32
}

func (f *File) section(r io.ReaderAt, off int64) (s rawSection, link uint32, err error) {
	var b [64]byte
	n := 40
	if f.Bits == 64 {
		n = 64
	}
	if _, err := r.ReadAt(b[:n], off); err != nil && err != io.EOF {
		return s, 0, err
	}
	le := binary.LittleEndian
	s.name, s.Type = le.Uint32(b[0:]), le.Uint32(b[4:])
	if f.Bits == 64 {
		s.Addr = le.Uint64(b[16:])
		s.Part = Part{int64(le.Uint64(b[24:])), int64(le.Uint64(b[32:]))}
		return s, le.Uint32(b[40:]), nil
	}
	s.Addr = uint64(le.Uint32(b[12:]))
	s.Part = Part{int64(le.Uint32(b[16:])), int64(le.Uint32(b[20:]))}
	return s, le.Uint32(b[24:]), nil
}

func (f *File) readSections(r io.ReaderAt, size, entry int64, names uint32) error {
	var list []rawSection
	for off := f.Headers.Offset; off < f.Headers.Offset+f.Headers.Size; off += entry {
		s, _, err := f.section(r, off)
		if err != nil {
			return err
		}
		if s.Type != TypeNoBits && s.Type != TypeNull {
			if _, err := part(uint64(s.Offset), uint64(s.Size), size); err != nil {
				return fmt.Errorf("section %d: %w", len(list), err)
			}
		}
		list = append(list, s)
	}
	var table []byte
	if int(names) < len(list) && names != 0 {
		s := list[names]
		if s.Type == TypeNoBits || s.Type == TypeNull || s.Size > maxNames {
			return fmt.Errorf("%w: section names", ErrCorrupt)
		}
		table = make([]byte, s.Size)
		if _, err := r.ReadAt(table, s.Offset); err != nil && err != io.EOF {
			return err
		}
	}
	for _, s := range list {
		s.Name = nameAt(table, s.name)
		f.Sections = append(f.Sections, s.Section)
	}
	return nil
}

func nameAt(table []byte, off uint32) string {
	if int64(off) >= int64(len(table)) {
		return ""
	}
	b := table[off:min(int(off)+maxName, len(table))]
	if n := bytes.IndexByte(b, 0); n >= 0 {
		b = b[:n]
	}
	return string(b)
}
