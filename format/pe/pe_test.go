package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// image makes a PE32+ image with two sections and a certificate table.
func image() []byte {
	b := make([]byte, 0x600+24)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[60:], 0x80)
	h := b[0x80:]
	copy(h, "PE\x00\x00")
	le.PutUint16(h[4:], 0x8664)
	le.PutUint16(h[6:], 2)
	le.PutUint32(h[8:], 1234) // TimeDateStamp
	le.PutUint16(h[20:], 240)
	o := h[24:]
	le.PutUint16(o, 0x20b)
	le.PutUint32(o[108:], 16)
	le.PutUint32(o[112+32:], 0x600)
	le.PutUint32(o[112+36:], 24)
	s := o[240:]
	for n, name := range []string{".text", ".cmdline"} {
		e := s[n*40:]
		copy(e, name)
		le.PutUint32(e[8:], 100)
		le.PutUint32(e[12:], uint32(0x1000*(n+1)))
		le.PutUint32(e[16:], 0x200)
		le.PutUint32(e[20:], uint32(0x200*(n+1)))
	}
	return b
}

func TestOpen(t *testing.T) {
	b := image()
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Header != (Part{0x80, 264}) || f.Certificates != (Part{0x600, 24}) || len(f.Sections) != 2 ||
		f.Directory != (Part{0x80 + 24 + 112 + 32, 8}) {
		t.Errorf("%+v", f)
	}
	if s := f.Sections[1]; s.Name != ".cmdline" || s.Data() != (Part{0x400, 100}) || s.Address != 0x2000 {
		t.Errorf("%+v", s)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrNotPE},
		{"DOS magic", func(b []byte) []byte { b[0] = 0; return b }, ErrNotPE},
		{"PE magic", func(b []byte) []byte { b[0x80] = 0; return b }, ErrNotPE},
		{"cut off", func(b []byte) []byte { return b[:0x500] }, ErrCorrupt},
		{"too many sections", func(b []byte) []byte { b[0x87] = 1; return b }, ErrCorrupt},
		{"magic", func(b []byte) []byte { b[0x80+24] = 0; return b }, ErrCorrupt},
	} {
		b := c.change(image())
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(image())
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, s := range file.Sections {
			if s.Offset < 0 || s.Size < 0 || s.Offset+s.Size > int64(len(b)) {
				t.Errorf("section %+v lies outside of %d bytes", s, len(b))
			}
		}
	})
}
