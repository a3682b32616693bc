package uki

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/uki/ukitest"
)

type part = ukitest.Part

func image(parts []part) []byte { return ukitest.Image(parts...) }

func sign(b []byte) []byte { return ukitest.Sign(b, "a signature, sir") }

var unsignedParts = ukitest.Parts(".osrel", "ID=mangos\n", ".cmdline", "quiet", ".uname", "6.12",
	".linux", strings.Repeat("kernel", 300), ".initrd", strings.Repeat("i", 5000))

func TestSections(t *testing.T) {
	u, err := Parse(image(unsignedParts))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range unsignedParts {
		if got := u.Section(p.Name); string(got) != p.Content {
			t.Errorf("%s: %.20q, want %.20q", p.Name, got, p.Content)
		}
	}
	if u.Section(".pcrsig") != nil || u.Signed() {
		t.Error("has what it has not")
	}
}

func TestNormalForm(t *testing.T) {
	signed := sign(image(ukitest.Parts(".osrel", "ID=mangos\ntry-out\n", ".cmdline", "quiet", ".uname", "6.12",
		".pcrpkey", "key", ".linux", strings.Repeat("KERNEL", 333), ".initrd", strings.Repeat("i", 5000),
		".pcrsig", strings.Repeat("s", 777))))
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
		changed[i].Content = "X" + p.Content[1:]
		u, err := Parse(image(changed))
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.NormalForm(nil)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, image(unsignedParts)) {
			t.Errorf("a change of %s does not show", p.Name)
		}
	}
}

func TestRefuses(t *testing.T) {
	twice := append(slices.Clone(unsignedParts), part{Name: ".cmdline", Content: "init=/bin/sh"})
	profile := append(slices.Clone(unsignedParts), part{Name: ".profile", Content: "ID=other"})
	short := image(unsignedParts)
	le.PutUint32(short[ukitest.Table+3*ukitest.Entry+secVirtualSize:], 4096)
	for name, b := range map[string][]byte{
		"no image":                        []byte("hello"),
		"cut off":                         image(unsignedParts)[:3000],
		"two command lines":               image(twice),
		"two configurations":              image(profile),
		"a stub alone":                    image(nil),
		"a section larger than its bytes": short,
	} {
		if _, err := Parse(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNormalFormRefusesDisorder(t *testing.T) {
	b := image(unsignedParts)
	table := b[ukitest.Table:]
	// The second section's data overlaps the first's.
	le.PutUint32(table[ukitest.Entry+secRawPointer:], ukitest.Headers)
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
	f.Add(sign(image(ukitest.Parts(".osrel", "x", ".cmdline", "y", ".pcrpkey", "k", ".linux", "l", ".pcrsig", "s"))))
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
