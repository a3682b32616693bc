package elf

import (
	"bytes"
	stdelf "debug/elf"
	"errors"
	"os"
	"testing"
)

// self is the running test program, an ELF file that is always at hand.
func self(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAgainstStandardLibrary compares the sections with debug/elf's.
func TestAgainstStandardLibrary(t *testing.T) {
	b := self(t)
	want, err := stdelf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Sections) != len(want.Sections) || len(want.Sections) == 0 {
		t.Fatalf("%d sections, want %d", len(got.Sections), len(want.Sections))
	}
	for n, w := range want.Sections {
		g := got.Sections[n]
		if g.Name != w.Name || g.Type != uint32(w.Type) || g.Offset != int64(w.Offset) || g.Addr != w.Addr ||
			g.Type != TypeNoBits && g.Size != int64(w.FileSize) {
			t.Errorf("section %d is %+v, want %+v", n, g, w.SectionHeader)
		}
	}
}

func TestRefused(t *testing.T) {
	good := self(t)
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrNotELF},
		{"magic", func(b []byte) []byte { b[0] = 0; return b }, ErrNotELF},
		{"cut off", func(b []byte) []byte { return b[:100] }, ErrCorrupt},
		{"section headers outside", func(b []byte) []byte { b[46] = 0x7f; return b }, ErrCorrupt},
		{"program headers outside", func(b []byte) []byte { b[38] = 0x7f; return b }, ErrCorrupt},
		{"big-endian", func(b []byte) []byte { b[5] = 2; return b }, ErrCorrupt},
	} {
		b := c.change(bytes.Clone(good))
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	// A file of 64 bytes of header and one section header.
	b := make([]byte, 64+2*64+16)
	copy(b, "\x7fELF\x02\x01\x01")
	b[40], b[52], b[58], b[60], b[62] = 64, 64, 64, 2, 1
	copy(b[64+64:], []byte{1, 0, 0, 0, 3, 0, 0, 0})
	b[64+64+24], b[64+64+32] = 192, 16
	copy(b[192:], "\x00.shstrtab\x00")
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, s := range file.Sections {
			if s.Type != TypeNoBits && s.Type != TypeNull && (s.Offset < 0 || s.Size < 0 || s.Offset+s.Size > int64(len(b))) {
				t.Errorf("section %+v lies outside of %d bytes", s, len(b))
			}
		}
	})
}
