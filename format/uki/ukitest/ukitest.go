// Package ukitest makes small unified kernel images for tests.
package ukitest

import (
	"encoding/binary"
	"strings"
)

// Part is a section to put into an image.
type Part struct{ Name, Content string }

// Parts makes sections of names and contents, in turn.
func Parts(pairs ...string) []Part {
	var parts []Part
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, Part{Name: pairs[i], Content: pairs[i+1]})
	}
	return parts
}

// Stub are the sections of the image's stub.
var Stub = Parts(".text", "code", ".data", strings.Repeat("d", 600), ".sbat", "sbat,1")

// Where an image has its headers.
const (
	Start    = 64             // "PE\0\0"
	Optional = Start + 24     // the optional header
	Table    = Optional + 240 // the section table
	Entry    = 40             // size of one of its entries
	Headers  = 1024           // size of all
)

const (
	fileAlign    = 512
	sectionAlign = 4096
)

var le = binary.LittleEndian

// Image makes a PE image with the sections of the stub and these, laid out as
// linkers and ukify do.
func Image(parts ...Part) []byte {
	b := make([]byte, Headers)
	copy(b, "MZ")
	le.PutUint32(b[60:], Start)
	copy(b[Start:], "PE\x00\x00")
	le.PutUint16(b[Start+4:], 0x8664)
	le.PutUint16(b[Start+6:], uint16(len(Stub)+len(parts)))
	le.PutUint16(b[Start+20:], Table-Optional)
	le.PutUint16(b[Optional:], 0x20b)
	le.PutUint32(b[Optional+32:], sectionAlign)
	le.PutUint32(b[Optional+36:], fileAlign)
	le.PutUint32(b[Optional+60:], Headers)
	le.PutUint32(b[Optional+108:], 16) // data directories
	address, initialized := sectionAlign, 0
	for i, p := range append(append([]Part{}, Stub...), parts...) {
		h := b[Table+i*Entry:]
		copy(h[:8], p.Name)
		le.PutUint32(h[8:], uint32(len(p.Content)))
		le.PutUint32(h[12:], uint32(address))
		le.PutUint32(h[16:], uint32(roundUp(len(p.Content), fileAlign)))
		le.PutUint32(h[20:], uint32(len(b)))
		le.PutUint32(h[36:], 0x40000040)
		b = append(b, p.Content...)
		b = append(b, make([]byte, roundUp(len(b), fileAlign)-len(b))...)
		address = roundUp(address+len(p.Content), sectionAlign)
		if i >= len(Stub) {
			initialized += len(p.Content)
		}
	}
	le.PutUint32(b[Optional+56:], uint32(address))
	le.PutUint32(b[Optional+8:], uint32(initialized))
	return b
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// Sign adds a certificate table and a checksum, as a signing tool does.
func Sign(image []byte, signature string) []byte {
	le.PutUint32(image[Optional+64:], uint32(12345+len(signature)))
	le.PutUint32(image[Optional+112+4*8:], uint32(len(image)))
	le.PutUint32(image[Optional+112+4*8+4:], uint32(len(signature)))
	return append(image, signature...)
}
