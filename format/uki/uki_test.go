package uki

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// part is a section to put into an image.
type part struct{ name, content string }

var stubParts = []part{{".text", "code"}, {".data", strings.Repeat("d", 600)}, {".sbat", "sbat,1"}}

const (
	testAlign     = 512
	testAlignment = 4096
	headers       = 1024
)

// image makes a PE image with these sections, laid out as linkers and ukify do.
func image(parts []part) []byte {
	b := make([]byte, headers)
	copy(b, "MZ")
	const start = 64
	le.PutUint32(b[60:], start)
	copy(b[start:], "PE\x00\x00")
	coff := b[start:]
	le.PutUint16(coff[4:], 0x8664)
	le.PutUint16(coff[coffSections:], uint16(len(parts)))
	const optional = 240
	le.PutUint16(coff[20:], optional)
	opt := coff[optionalStart:]
	le.PutUint16(opt, 0x20b)
	le.PutUint32(opt[optSectionAlign:], testAlignment)
	le.PutUint32(opt[optFileAlign:], testAlign)
	le.PutUint32(opt[108:], 16) // data directories
	address, initialized := int64(testAlignment), 0
	for i, p := range parts {
		b = append(b, make([]byte, pad(int64(len(b)), testAlign))...)
		h := b[start+24+optional+i*sectionHeader:]
		copy(h[:8], p.name)
		le.PutUint32(h[secVirtualSize:], uint32(len(p.content)))
		le.PutUint32(h[secAddress:], uint32(address))
		le.PutUint32(h[secRawSize:], uint32(int64(len(p.content))+pad(int64(len(p.content)), testAlign)))
		le.PutUint32(h[secRawPointer:], uint32(len(b)))
		le.PutUint32(h[36:], 0x40000040)
		b = append(b, p.content...)
		b = append(b, make([]byte, pad(int64(len(p.content)), testAlign))...)
		address += int64(len(p.content))
		le.PutUint32(b[start+optionalStart+optImageSize:], uint32(address+pad(address, testAlignment)))
		address += pad(address, testAlignment)
		if i >= len(stubParts) {
			initialized += len(p.content)
		}
	}
	le.PutUint32(b[start+optionalStart+optInitialized:], uint32(initialized))
	return b
}

// sign adds a certificate table and a checksum, as a signing tool does.
func sign(b []byte) []byte {
	opt := b[64+optionalStart:]
	le.PutUint32(opt[optChecksum:], 12345)
	le.PutUint32(opt[112+4*8:], uint32(len(b)))
	le.PutUint32(opt[112+4*8+4:], 16)
	return append(b, "a signature, sir"...)
}

func with(parts ...part) []part { return append(slices.Clone(stubParts), parts...) }

var unsignedParts = with(part{".osrel", "ID=mangos\n"}, part{".cmdline", "quiet"}, part{".uname", "6.12"},
	part{".linux", strings.Repeat("kernel", 300)}, part{".initrd", strings.Repeat("i", 5000)})

func TestSections(t *testing.T) {
	u, err := Parse(image(unsignedParts))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range unsignedParts {
		if got := u.Section(p.name); string(got) != p.content {
			t.Errorf("%s: %.20q, want %.20q", p.name, got, p.content)
		}
	}
	if u.Section(".pcrsig") != nil || u.Signed() {
		t.Error("has what it has not")
	}
}

func TestNormalForm(t *testing.T) {
	signed := sign(image(with(part{".osrel", "ID=mangos\ntry-out\n"}, part{".cmdline", "quiet"}, part{".uname", "6.12"},
		part{".pcrpkey", "key"}, part{".linux", strings.Repeat("KERNEL", 333)}, part{".initrd", strings.Repeat("i", 5000)},
		part{".pcrsig", strings.Repeat("s", 777)})))
	u, err := Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	if !u.Signed() {
		t.Error("its signature is not seen")
	}
	got, err := u.NormalForm(map[string][]byte{
		".linux": []byte(strings.Repeat("kernel", 300)), ".osrel": []byte("ID=mangos\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := image(unsignedParts); !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d, or others", len(got), len(want))
	}
	if _, err := u.NormalForm(map[string][]byte{".splash": nil}); !errors.Is(err, ErrFormat) {
		t.Errorf("replacing what is not there: %v", err)
	}
}

// A changed byte in what is not to be replaced shows in the normal form.
func TestNormalFormShowsChanges(t *testing.T) {
	for i, p := range unsignedParts {
		changed := slices.Clone(unsignedParts)
		changed[i].content = "X" + p.content[1:]
		u, err := Parse(image(changed))
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.NormalForm(nil)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, image(unsignedParts)) {
			t.Errorf("a change of %s does not show", p.name)
		}
	}
}

func TestRefuses(t *testing.T) {
	twice := append(slices.Clone(unsignedParts), part{".cmdline", "init=/bin/sh"})
	profile := append(slices.Clone(unsignedParts), part{".profile", "ID=other"})
	short := image(unsignedParts)
	le.PutUint32(short[64+24+240+3*sectionHeader+secVirtualSize:], 4096)
	for name, b := range map[string][]byte{
		"no image":                        []byte("hello"),
		"cut off":                         image(unsignedParts)[:3000],
		"two command lines":               image(twice),
		"two configurations":              image(profile),
		"a stub alone":                    image(stubParts),
		"a section larger than its bytes": short,
	} {
		if _, err := Parse(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNormalFormRefusesDisorder(t *testing.T) {
	b := image(unsignedParts)
	table := b[64+24+240:]
	// The second section's data overlaps the first's.
	le.PutUint32(table[sectionHeader+secRawPointer:], headers)
	u, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.NormalForm(nil); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func FuzzNormalForm(f *testing.F) {
	f.Add(image(unsignedParts))
	f.Add(sign(image(with(part{".osrel", "x"}, part{".cmdline", "y"}, part{".pcrpkey", "k"}, part{".linux", "l"}, part{".pcrsig", "s"}))))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := Parse(b)
		if err != nil {
			return
		}
		form, err := u.NormalForm(nil)
		if err != nil {
			return
		}
		again, err := Parse(form)
		if err != nil {
			t.Fatalf("the normal form is no image: %v", err)
		}
		for _, name := range []string{".linux", ".osrel", ".cmdline", ".initrd"} {
			if !bytes.Equal(again.Section(name), u.Section(name)) {
				t.Errorf("section %s changed", name)
			}
		}
		if again.Signed() || again.Section(".pcrsig") != nil || again.Section(".pcrpkey") != nil {
			t.Error("the normal form has what only a signed image has")
		}
		same, err := again.NormalForm(nil)
		if err != nil || !bytes.Equal(same, form) {
			t.Errorf("the normal form of a normal form is another: %v", err)
		}
	})
}
