package uki

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/mastercard/mangos/format/pe"
)

// Signer lists the sections that stand in a signed image only.
var Signer = []string{".pcrsig", ".pcrpkey"}

// Offsets of header fields, PE32+ (Microsoft, PE Format).
const (
	coffSections    = 6  // from "PE\0\0"
	optionalStart   = 24 // from "PE\0\0"
	optInitialized  = 8  // SizeOfInitializedData, from the optional header
	optSectionAlign = 32
	optFileAlign    = 36
	optImageSize    = 56
	optChecksum     = 64
	optDLL          = 70 // DllCharacteristics
	sectionHeader   = 40
	secVirtualSize  = 8
	secAddress      = 12
	secRawSize      = 16
	secRawPointer   = 20
)

// NormalForm returns the image without signature, .pcrsig and .pcrpkey, with
// the sections in replace (by name) in place of its own. What is to be replaced
// are .linux, by the kernel without certificate, and in a try-out build .osrel,
// by the text without its mark.
//
// The result is what ukify makes from the same stub and sections, byte for
// byte: the stub's own sections stay, the others follow one another.
func (u *Image) NormalForm(replace map[string][]byte) ([]byte, error) {
	for name := range replace {
		if u.Section(name) == nil || !own[name] || name == ".sbat" {
			return nil, fmt.Errorf("normal form: no section %q to replace: %w", name, ErrFormat)
		}
	}
	h, err := u.header()
	if err != nil {
		return nil, fmt.Errorf("normal form: %w", err)
	}
	stub := u.stubSections()
	if stub == 0 {
		return nil, fmt.Errorf("normal form: the image has no stub: %w", ErrFormat)
	}
	last := u.file.Sections[stub-1]
	out := bytes.Clone(u.data[:last.Offset+last.Size])
	table := out[u.file.Table.Offset : u.file.Table.Offset+u.file.Table.Size]
	added := table[stub*sectionHeader:]
	original := bytes.Clone(added)
	clear(added)

	kept, initialized, end := stub, h.initialized, last.Address+last.Virtual
	for i, s := range u.file.Sections[stub:] {
		initialized -= uint32(s.Virtual)
		if s.Name == ".pcrsig" || s.Name == ".pcrpkey" {
			continue
		}
		content, ok := replace[s.Name]
		if !ok {
			content = u.Section(s.Name)
		}
		out = append(out, make([]byte, pad(int64(len(out)), h.fileAlign))...)
		address := end + pad(end, h.sectionAlign)
		entry := out[u.file.Table.Offset+int64(kept)*sectionHeader:][:sectionHeader]
		copy(entry, original[i*sectionHeader:])
		le.PutUint32(entry[secVirtualSize:], uint32(len(content)))
		le.PutUint32(entry[secAddress:], uint32(address))
		le.PutUint32(entry[secRawSize:], uint32(int64(len(content))+pad(int64(len(content)), h.fileAlign)))
		le.PutUint32(entry[secRawPointer:], uint32(len(out)))
		out = append(out, content...)
		out = append(out, make([]byte, pad(int64(len(content)), h.fileAlign))...)
		if int64(len(out)) > MaxSize {
			return nil, fmt.Errorf("normal form: more than %d bytes: %w", MaxSize, ErrFormat)
		}
		initialized += uint32(len(content))
		end = address + int64(len(content))
		kept++
	}
	u.putHeader(out, kept, initialized, end+pad(end, h.sectionAlign))
	return out, nil
}

// putHeader writes into out, which begins as the image does, that it has this many
// sections, bytes of initialized data and bytes in memory, and no signature.
func (u *Image) putHeader(out []byte, sections int, initialized uint32, size int64) {
	coff := out[u.file.Header.Offset:]
	le.PutUint16(coff[coffSections:], uint16(sections))
	optional := coff[optionalStart:]
	le.PutUint32(optional[optInitialized:], initialized)
	le.PutUint32(optional[optImageSize:], uint32(size))
	le.PutUint32(optional[optChecksum:], 0)
	clear(out[u.file.Directory.Offset:][:u.file.Directory.Size])
}

var le = binary.LittleEndian

type header struct {
	fileAlign, sectionAlign int64
	initialized             uint32
}

// header reads the fields that a new layout needs, and refuses what no linker
// writes.
func (u *Image) header() (header, error) {
	optional := u.data[u.file.Header.Offset+optionalStart : u.file.Header.Offset+u.file.Header.Size]
	if len(optional) < optDLL+2 || le.Uint16(optional) != 0x20b || u.file.Directory == (pe.Part{}) {
		return header{}, fmt.Errorf("not a 64-bit image: %w", ErrFormat)
	}
	h := header{
		fileAlign:    int64(le.Uint32(optional[optFileAlign:])),
		sectionAlign: int64(le.Uint32(optional[optSectionAlign:])),
		initialized:  le.Uint32(optional[optInitialized:]),
	}
	for _, a := range []int64{h.fileAlign, h.sectionAlign} {
		if a < 512 || a > 1<<16 || a&(a-1) != 0 {
			return header{}, fmt.Errorf("alignment %d: %w", a, ErrFormat)
		}
	}
	return h, u.checkOrder()
}

// checkOrder makes sure that the headers come first, and then the sections in
// the order of their table, in the file as in memory: what is copied as a run
// of bytes is then what it seems to be.
func (u *Image) checkOrder() error {
	at, address := u.file.Table.Offset+u.file.Table.Size, int64(0)
	for _, s := range u.file.Sections {
		if s.Offset < at || s.Address < address || s.Virtual < 0 {
			return fmt.Errorf("section %q stands out of order: %w", s.Name, ErrFormat)
		}
		at, address = s.Offset+s.Size, s.Address+s.Virtual
	}
	if c := u.file.Certificates; c.Size > 0 && c.Offset < at {
		return fmt.Errorf("the signature stands inside the sections: %w", ErrFormat)
	}
	return nil
}

// stubSections returns how many sections at the beginning are the stub's. Its
// own .sbat is one of them.
func (u *Image) stubSections() int {
	for i, s := range u.file.Sections {
		if own[s.Name] && s.Name != ".sbat" {
			return i
		}
	}
	return len(u.file.Sections)
}

// pad returns how many bytes are missing to the next multiple of align.
func pad(n, align int64) int64 { return (align - n%align) % align }
