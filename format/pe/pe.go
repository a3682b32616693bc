// Package pe lists the parts of a PE image (EFI programs, unified kernel
// images): headers, sections and the certificate table, where they lie and
// what they are called. It reads in place and keeps nothing but the list.
// Unlike debug/pe it is meant for foreign files: whatever they claim is
// checked against their size first.
//
// The format: Microsoft, PE Format; UEFI 2.10, section 2.1.1.
package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrNotPE says that the file does not start like a PE image.
	ErrNotPE = errors.New("not a PE image")
	// ErrCorrupt says that the file contradicts the format.
	ErrCorrupt = errors.New("corrupt PE image")
)

const (
	maxSections   = 96 // the limit of the Windows loader
	sectionHeader = 40
	directorySize = 8
	certificates  = 4 // index of the certificate table's data directory
)

// Part is a run of bytes of the file.
type Part struct{ Offset, Size int64 }

// Section is one entry of the section table.
type Section struct {
	Name    string // up to 8 bytes, unescaped
	Part           // the raw data in the file
	Virtual int64  // size in memory; what exceeds Size is zero
	Address int64
}

// Data is the part of the raw data that counts, without padding.
func (s Section) Data() Part {
	return Part{s.Offset, min(s.Size, s.Virtual)}
}

// File is the list of parts.
type File struct {
	Machine      uint16
	Stub         Part // DOS header and program
	Header       Part // from "PE\0\0" to the end of the optional header
	Table        Part // section table
	Sections     []Section
	Certificates Part // empty if the image is not signed
	// Directory is where the header says where the certificates are.
	Directory Part
}

// Open reads the headers of the file of size bytes in r.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("read PE headers: %w", err)
	}
	return f, nil
}

func read(r io.ReaderAt, size int64) (*File, error) {
	var dos [64]byte
	if size < int64(len(dos)) {
		return nil, ErrNotPE
	}
	if err := readFull(r, dos[:], 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	start := int64(le.Uint32(dos[60:]))
	if !bytes.HasPrefix(dos[:], []byte("MZ")) || start < 4 || start > size-24 {
		return nil, ErrNotPE
	}
	var coff [24]byte
	if err := readFull(r, coff[:], start); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(coff[:], []byte("PE\x00\x00")) {
		return nil, ErrNotPE
	}
	optional := int64(le.Uint16(coff[20:]))
	sections := int64(le.Uint16(coff[6:]))
	if sections > maxSections {
		return nil, fmt.Errorf("%w: %d sections", ErrCorrupt, sections)
	}
	f := &File{
		Machine: le.Uint16(coff[4:]),
		Stub:    Part{0, start},
		Header:  Part{start, 24 + optional},
		Table:   Part{start + 24 + optional, sections * sectionHeader},
	}
	if f.Table.Offset+f.Table.Size > size {
		return nil, fmt.Errorf("%w: the headers are cut off", ErrCorrupt)
	}
	if err := f.readDirectory(r, size); err != nil {
		return nil, err
	}
	return f, f.readSections(r, size)
}

// readDirectory finds the certificate table. Its address is a file offset,
// unlike those of the other directories.
func (f *File) readDirectory(r io.ReaderAt, size int64) error {
	b := make([]byte, f.Header.Size-24)
	if err := readFull(r, b, f.Header.Offset+24); err != nil {
		return err
	}
	if len(b) < 2 {
		return nil
	}
	le := binary.LittleEndian
	count := 92 // where NumberOfRvaAndSizes is
	switch le.Uint16(b) {
	case 0x10b:
	case 0x20b:
		count = 108
	default:
		return fmt.Errorf("%w: optional header magic %#x", ErrCorrupt, le.Uint16(b))
	}
	at := count + 4 + certificates*directorySize
	if len(b) < at+directorySize || le.Uint32(b[count:]) <= certificates {
		return nil
	}
	f.Directory = Part{f.Header.Offset + 24 + int64(at), directorySize}
	f.Certificates = Part{int64(le.Uint32(b[at:])), int64(le.Uint32(b[at+4:]))}
	if f.Certificates.Size == 0 {
		f.Certificates.Offset = 0
	}
	if f.Certificates.Offset+f.Certificates.Size > size {
		return fmt.Errorf("%w: the certificate table lies outside", ErrCorrupt)
	}
	return nil
}

func (f *File) readSections(r io.ReaderAt, size int64) error {
	b := make([]byte, f.Table.Size)
	if err := readFull(r, b, f.Table.Offset); err != nil {
		return err
	}
	le := binary.LittleEndian
	for ; len(b) > 0; b = b[sectionHeader:] {
		s := Section{
			Name:    string(bytes.TrimRight(b[:8], "\x00")),
			Part:    Part{int64(le.Uint32(b[20:])), int64(le.Uint32(b[16:]))},
			Virtual: int64(le.Uint32(b[8:])),
			Address: int64(le.Uint32(b[12:])),
		}
		if s.Offset == 0 { // not in the file: zeros
			s.Size = 0
		}
		if s.Offset+s.Size > size {
			return fmt.Errorf("%w: section %q lies outside", ErrCorrupt, s.Name)
		}
		f.Sections = append(f.Sections, s)
	}
	return nil
}

// readFull hides io.EOF of a reader that ends with what is asked for.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: cut off", ErrCorrupt)
	}
	return err
}
