package vfat

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// short is a name as mtools writes it.
type short struct {
	name    [11]byte
	letters uint8 // which parts are in lower case
	long    bool  // the name stands in long entries as well
}

// legal are the characters of a short name besides letters and digits; the others of
// replaced become "_" there.
const (
	legal    = "_-~"
	replaced = "+"
)

// plain reports whether a name is of the characters that are known here.
func plain(name string) bool {
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(legal+replaced+".", rune(c)) {
			return false
		}
	}
	return true
}

// shorten finds the short name that mtools gives to a file that is the first of its kind.
func shorten(name string) (short, error) {
	if name == "" || len(name) > 255 || name[0] == '.' || name[len(name)-1] == '.' || !plain(name) {
		return short{}, fmt.Errorf("%w: name %q", ErrMake, name)
	}
	base, ext := name, ""
	if at := strings.LastIndexByte(name, '.'); at >= 0 {
		base, ext = name[:at], name[at+1:]
	}
	left := strings.NewReplacer(".", "", "+", "_").Replace(base)
	right := strings.ReplaceAll(ext, "+", "_")
	mangled := left != base || right != ext || len(left) > 8 || len(right) > 3
	left, right = left[:min(len(left), 8)], right[:min(len(right), 3)]
	s := short{long: mangled}
	for _, p := range []struct {
		part string
		bit  uint8
	}{{left, caseBase}, {right, caseExt}} {
		lower, upper := p.part == strings.ToLower(p.part), p.part == strings.ToUpper(p.part)
		s.long = s.long || !lower && !upper
		if lower && !upper {
			s.letters |= p.bit
		}
	}
	if s.long {
		s.letters = 0
	}
	if mangled {
		left = left[:min(len(left), 6)] + "~1"
	}
	copy(s.name[:], fmt.Sprintf("%-8s%-3s", strings.ToUpper(left), strings.ToUpper(right)))
	return s, nil
}

// longEntries are the entries before the short one that hold the whole name, of ASCII.
func longEntries(name string, short [11]byte) []byte {
	parts := (len(name) + 12) / 13
	b := make([]byte, parts*dirEntrySize)
	for part := range parts {
		e := b[(parts-1-part)*dirEntrySize:]
		e[0], e[11], e[13] = byte(part+1), attrLongName, nameSum(short[:])
		if part == parts-1 {
			e[0] |= 0x40
		}
		for i, at := range longUnits {
			unit := uint16(0xffff)
			if k := 13*part + i; k < len(name) {
				unit = uint16(name[k])
			} else if k == len(name) {
				unit = 0
			}
			binary.LittleEndian.PutUint16(e[at:], unit)
		}
	}
	return b
}

// longUnits are the places of the units of a name in a long entry.
var longUnits = [13]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}

// nameSum is the sum over a short name that binds long entries to it.
func nameSum(short []byte) (sum uint8) {
	for _, c := range short {
		sum = sum<<7 | sum>>1
		sum += c
	}
	return sum
}
