// Package ukitest makes small unified kernel images for tests: nothing in them
// runs, but they are laid out as linkers and ukify do it.
package ukitest

import (
	"encoding/binary"
	"strings"
)

// Part is a section to put into an image: its name and content.
type Part [2]string

// Stub are the sections that an image begins with.
var Stub = []Part{{".text", "code"}, {".data", strings.Repeat("d", 600)}, {".sbat", "sbat,1"}}

const (
	fileAlign    = 512
	sectionAlign = 4096
	headers      = 1024
	start        = 64 // of "PE\0\0"
	optional     = 240
	entry        = 40 // of the section table
)

// With are the sections of an image: [Stub] and these.
func With(parts ...Part) []Part { return append(append([]Part{}, Stub...), parts...) }

// Image makes a PE image with these sections, of which the first are as many as
// [Stub] has.
func Image(parts []Part) []byte {
	le := binary.LittleEndian
	b := make([]byte, headers)
	copy(b, "MZ")
	le.PutUint32(b[60:], start)
	copy(b[start:], "PE\x00\x00")
	le.PutUint16(b[start+4:], 0x8664)
	le.PutUint16(b[start+6:], uint16(len(parts)))
	le.PutUint16(b[start+20:], optional)
	const opt = start + 24
	le.PutUint16(b[opt:], 0x20b)
	le.PutUint32(b[opt+32:], sectionAlign)
	le.PutUint32(b[opt+36:], fileAlign)
	le.PutUint32(b[opt+60:], headers)
	le.PutUint32(b[opt+108:], 16) // data directories
	address, initialized := int64(sectionAlign), 0
	for i, p := range parts {
		b = append(b, make([]byte, pad(int64(len(b)), fileAlign))...)
		h := b[opt+optional+i*entry:]
		n := int64(len(p[1]))
		copy(h[:8], p[0])
		le.PutUint32(h[8:], uint32(n))
		le.PutUint32(h[12:], uint32(address))
		le.PutUint32(h[16:], uint32(n+pad(n, fileAlign)))
		le.PutUint32(h[20:], uint32(len(b)))
		le.PutUint32(h[36:], 0x40000040)
		b = append(b, p[1]...)
		b = append(b, make([]byte, pad(n, fileAlign))...)
		address += n
		le.PutUint32(b[opt+56:], uint32(address+pad(address, sectionAlign)))
		address += pad(address, sectionAlign)
		if i >= len(Stub) {
			initialized += len(p[1])
		}
	}
	le.PutUint32(b[opt+8:], uint32(initialized))
	return b
}

// pad returns how many bytes are missing to the next multiple of align.
func pad(n, align int64) int64 { return (align - n%align) % align }
