package uki

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/mastercard/mangos/format/pe"
)

// noExecute marks a program that keeps data and code apart in memory
// (IMAGE_DLLCHARACTERISTICS_NX_COMPAT).
const noExecute = 0x0100

// Limits of what is tried: lines of .sbat as the last of the stub's, and the size in bytes
// of a stub.
const (
	maxSBAT = 64
	maxStub = 1 << 20
)

// Stubs returns all programs that ukify makes the image of, as the stub that it is given,
// but for what it adds: to the end of the section .sbat it adds lines, after a stub that is
// marked NX_COMPAT it may take that away, and neither shows. So there are several; the
// digest of a stub tells which. The checksum of a stub is taken to be 0, as linkers of EFI
// programs leave it.
func (u *Image) Stubs() ([][]byte, error) {
	h, err := u.header()
	if err != nil {
		return nil, fmt.Errorf("find stub: %w", err)
	}
	n := u.stubSections()
	if n == 0 {
		return nil, fmt.Errorf("find stub: the image has none: %w", ErrFormat)
	}
	last := u.file.Sections[n-1]
	if last.Offset+last.Size > maxStub {
		return nil, fmt.Errorf("find stub: it has more than %d bytes: %w", maxStub, ErrFormat)
	}
	base := bytes.Clone(u.data[:last.Offset+last.Size])
	clear(base[u.file.Table.Offset+int64(n)*sectionHeader : u.file.Table.Offset+u.file.Table.Size])
	initialized := h.initialized
	for _, s := range u.file.Sections[n:] {
		initialized -= uint32(s.Virtual)
	}
	end := last.Address + last.Virtual
	u.putHeader(base, n, initialized, end+pad(end, h.sectionAlign))

	stubs := [][]byte{base}
	for i, s := range u.file.Sections[:n] {
		if s.Name == ".sbat" {
			texts, err := endings(u.Section(".sbat"))
			if err != nil {
				return nil, fmt.Errorf("find stub: %w", err)
			}
			for _, text := range texts {
				stubs = append(stubs, u.withSBAT(base, i, n, text, h))
			}
		}
	}
	for _, stub := range slices.Clone(stubs) {
		marked := bytes.Clone(stub)
		field := marked[u.file.Header.Offset+optionalStart+optDLL:]
		le.PutUint16(field, le.Uint16(field)|noExecute)
		stubs = append(stubs, marked)
	}
	return stubs, nil
}

// endings are what .sbat may have been before lines were added to it: some of its lines,
// with a zero byte behind them or without.
func endings(text []byte) ([][]byte, error) {
	var list [][]byte
	for at := 0; ; {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			return list, nil
		}
		at += n + 1
		if len(list) == 2*maxSBAT {
			return nil, fmt.Errorf(".sbat has more than %d lines: %w", maxSBAT, ErrFormat)
		}
		list = append(list, bytes.Clone(text[:at]), append(bytes.Clone(text[:at]), 0))
	}
}

// withSBAT is a stub with another text in its section i of n, which is .sbat.
func (u *Image) withSBAT(stub []byte, i, n int, text []byte, h header) []byte {
	stub = bytes.Clone(stub)
	s := u.file.Sections[i]
	raw := stub[s.Offset : s.Offset+s.Size]
	clear(raw[copy(raw, text):])
	le.PutUint32(stub[u.file.Table.Offset+int64(i)*sectionHeader+secVirtualSize:], uint32(len(text)))
	if i == n-1 {
		end := s.Address + int64(len(text))
		le.PutUint32(stub[u.file.Header.Offset+optionalStart+optImageSize:], uint32(end+pad(end, h.sectionAlign)))
	}
	return stub
}

// Unsigned returns a program as it was before it was signed: without its certificates,
// which must stand at its end, and with the checksum 0, as linkers of EFI programs leave
// it. Whatever was put before the certificates so that they are aligned is still there.
func Unsigned(program []byte) ([]byte, error) {
	f, err := pe.Open(bytes.NewReader(program), int64(len(program)))
	if err != nil {
		return nil, fmt.Errorf("take off signature: %w: %w", ErrFormat, err)
	}
	c := f.Certificates
	if c.Size == 0 || c.Offset+c.Size != int64(len(program)) || c.Offset < f.Table.Offset+f.Table.Size {
		return nil, fmt.Errorf("take off signature: the program does not end in one: %w", ErrFormat)
	}
	out := bytes.Clone(program[:c.Offset])
	clear(out[f.Directory.Offset:][:f.Directory.Size])
	le.PutUint32(out[f.Header.Offset+optionalStart+optChecksum:], 0)
	return out, nil
}
