package uki

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/uki/ukitest"
)

// stubOf makes an image and returns what its stub may have been.
func stubOf(t *testing.T, image []byte) [][]byte {
	t.Helper()
	u, err := Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	stubs, err := u.Stubs()
	if err != nil {
		t.Fatal(err)
	}
	return stubs
}

func holds(stubs [][]byte, want []byte) bool {
	return slices.ContainsFunc(stubs, func(s []byte) bool { return bytes.Equal(s, want) })
}

// withSBAT swaps the text of .sbat, the last section of an image's stub, as ukify does.
func withSBAT(image []byte, text string) []byte {
	image = bytes.Clone(image)
	entry := image[ukitest.Table+(len(ukitest.Stub)-1)*ukitest.Entry:]
	at, size := le.Uint32(entry[secRawPointer:]), le.Uint32(entry[secRawSize:])
	le.PutUint32(entry[secVirtualSize:], uint32(len(text)))
	raw := image[at : at+size]
	clear(raw[copy(raw, text):])
	return image
}

// noExecuteMark sets the mark of a program.
func noExecuteMark(image []byte) []byte {
	image = bytes.Clone(image)
	image[ukitest.Optional+optDLL+1] |= noExecute >> 8
	return image
}

func TestStubs(t *testing.T) {
	stub := image(nil)
	for name, row := range map[string]struct{ stub, image []byte }{
		"unsigned":              {stub, image(unsignedParts)},
		"signed":                {stub, sign(image(unsignedParts))},
		"lines were added":      {withSBAT(stub, "sbat,1\nstub,1\n"), withSBAT(image(unsignedParts), "sbat,1\nstub,1\nuki,1\n\x00")},
		"to a text with an end": {withSBAT(stub, "sbat,1\nstub,1\n\x00"), withSBAT(image(unsignedParts), "sbat,1\nstub,1\nuki,1\n\x00")},
		"a mark was taken away": {noExecuteMark(stub), sign(image(unsignedParts))},
	} {
		if !holds(stubOf(t, row.image), row.stub) {
			t.Errorf("%s: the stub is not among them", name)
		}
	}
	for name, place := range map[string]int{"its code": ukitest.Headers, "its header": ukitest.Optional + 16, "its first bytes": 4} {
		changed := image(unsignedParts)
		changed[place] ^= 1
		if holds(stubOf(t, changed), stub) {
			t.Errorf("a change of %s does not show", name)
		}
	}
	u, err := Parse(withSBAT(image(unsignedParts), strings.Repeat("x\n", maxSBAT+1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Stubs(); !errors.Is(err, ErrFormat) {
		t.Errorf("too many lines: %v", err)
	}
}

func TestUnsigned(t *testing.T) {
	program := image(nil)
	got, err := Unsigned(sign(bytes.Clone(program)))
	if err != nil || !bytes.Equal(got, program) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(program), err)
	}
	for name, b := range map[string][]byte{
		"not signed":                    program,
		"more behind the signature":     append(sign(bytes.Clone(program)), 0),
		"a signature in its own header": overlapping(program),
		"no program":                    []byte("hello"),
	} {
		if _, err := Unsigned(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// overlapping says that a program is a signature from its second byte on.
func overlapping(program []byte) []byte {
	program = bytes.Clone(program)
	le.PutUint32(program[ukitest.Optional+112+4*8:], 1)
	le.PutUint32(program[ukitest.Optional+112+4*8+4:], uint32(len(program)-1))
	return program
}

// FuzzStubs: whatever an image claims, its stubs are found or refused.
func FuzzStubs(f *testing.F) {
	f.Add(image(unsignedParts))
	f.Add(sign(withSBAT(image(unsignedParts), "sbat,1\nstub,1\nuki,1\n\x00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if program, err := Unsigned(b); err == nil && len(program) >= len(b) {
			t.Errorf("%d bytes without signature, %d with", len(program), len(b))
		}
		u, err := Parse(b)
		if err != nil {
			return
		}
		stubs, err := u.Stubs()
		if err == nil && len(stubs) == 0 {
			t.Error("none")
		}
	})
}
