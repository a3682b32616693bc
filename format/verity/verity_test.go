package verity

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// data returns n blocks of bytes that are the same each time.
func data(n int) []byte {
	b := make([]byte, n*BlockSize)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// naive hashes a level at a time, as the specification's text has it. It
// returns the root hash and the levels, leaves first.
func naive(b, salt []byte) (root [32]byte, rows [][]byte) {
	digest := func(block []byte) [32]byte { return sha256.Sum256(append(bytes.Clone(salt), block...)) }
	for len(b) > BlockSize {
		var row []byte
		for ; len(b) > 0; b = b[BlockSize:] {
			d := digest(b[:BlockSize])
			row = append(row, d[:]...)
		}
		row = append(row, make([]byte, (BlockSize-len(row)%BlockSize)%BlockSize)...)
		rows = append(rows, row)
		b = row
	}
	return digest(b), rows
}

var sizes = []int{1, 2, 127, 128, 129, 128 * 3, 128*128 + 1}

func build(t testing.TB, b []byte) *Tree {
	t.Helper()
	tree, err := Build(bytes.NewReader(b), int64(len(b)), Salt())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestBuild(t *testing.T) {
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := data(n)
			tree := build(t, b)
			root, rows := naive(b, Salt())
			if tree.Root != root {
				t.Errorf("root hash %s, want %x", tree.Root, root)
			}
			want := tree.Bytes()[:BlockSize]
			for i := len(rows) - 1; i >= 0; i-- {
				want = append(want[:len(want):len(want)], rows[i]...)
			}
			if !bytes.Equal(tree.Bytes(), want) {
				t.Error("the levels are not what the naive way gives")
			}
			if size, err := TreeSize(int64(len(b))); err != nil || size != int64(len(tree.Bytes())) {
				t.Errorf("TreeSize: %d, %v, want %d", size, err, len(tree.Bytes()))
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, size := range []int64{0, -4096, 1, 4097, MaxDataSize + 4096} {
		if _, err := Build(bytes.NewReader(nil), size, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := Build(bytes.NewReader(make([]byte, 4096)), 8192, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("data that ends early: %v", err)
	}
	if _, err := Build(bytes.NewReader(make([]byte, 4096)), 4096, make([]byte, 257)); !errors.Is(err, ErrFormat) {
		t.Errorf("long salt: %v", err)
	}
}

func TestOpen(t *testing.T) {
	for _, n := range sizes {
		b := data(n)
		built := build(t, b)
		// A partition is larger than what lies in it.
		device := append(bytes.Clone(built.Bytes()), make([]byte, 3*BlockSize)...)
		tree, err := Open(iotest.HalfReader(bytes.NewReader(device)), int64(len(device)), built.Root)
		if err != nil {
			t.Fatalf("%d blocks: %v", n, err)
		}
		if tree.Size() != int64(len(b)) {
			t.Errorf("%d blocks: covers %d bytes", n, tree.Size())
		}
		if err := tree.Verify(bytes.NewReader(b)); err != nil {
			t.Errorf("%d blocks: %v", n, err)
		}
	}
}

// Every byte of a tree counts: changed anywhere, it is no longer accepted.
func TestOpenNoticesEveryByte(t *testing.T) {
	built := build(t, data(129))
	device := bytes.Clone(built.Bytes())
	for at := BlockSize; at < len(device); at++ {
		device[at] ^= 1
		if _, err := Open(bytes.NewReader(device), int64(len(device)), built.Root); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
		device[at] ^= 1
	}
}

// The root hash does not cover the superblock; what it says must fit all the
// same, but for the identifier.
func TestOpenNoticesSuperblock(t *testing.T) {
	b := data(3)
	built := build(t, b)
	device := bytes.Clone(built.Bytes())
	for at := range 88 + len(Salt()) {
		if at >= 16 && at < 32 || at >= 82 && at < 88 {
			continue // identifier, padding
		}
		device[at] ^= 1
		tree, err := Open(bytes.NewReader(device), int64(len(device)), built.Root)
		if err == nil {
			err = tree.Verify(bytes.NewReader(b))
		}
		if err == nil {
			t.Errorf("byte %d changed: accepted", at)
		}
		device[at] ^= 1
	}
}

func TestOpenRefuses(t *testing.T) {
	built := build(t, data(200))
	whole := built.Bytes()
	other := built.Root
	other[0] ^= 1
	for _, c := range []struct {
		name   string
		device []byte
		root   RootHash
		want   error
	}{
		{"another root hash", whole, other, ErrCorrupt},
		{"nothing", nil, built.Root, ErrFormat},
		{"cut off", whole[:len(whole)-BlockSize], built.Root, ErrFormat},
		{"bytes after it", append(bytes.Clone(whole), 0, 0, 1), built.Root, ErrFormat},
		{"no superblock", make([]byte, len(whole)), built.Root, ErrFormat},
	} {
		if _, err := Open(bytes.NewReader(c.device), int64(len(c.device)), c.root); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestVerifyNamesTheBlock(t *testing.T) {
	b := data(300)
	tree := build(t, b)
	b[257*BlockSize+5] ^= 4
	err := tree.Verify(bytes.NewReader(b))
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "block 257") {
		t.Error(err)
	}
	if err := tree.Verify(bytes.NewReader(b[:200*BlockSize])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestWriter(t *testing.T) {
	b := data(130)
	tree := build(t, b)
	for _, piece := range []int{1, 100, BlockSize, BlockSize + 1, len(b)} {
		var out bytes.Buffer
		w := tree.Writer(&out)
		for rest := b; len(rest) > 0; {
			n := min(piece, len(rest))
			if k, err := w.Write(rest[:n]); k != n || err != nil {
				t.Fatalf("pieces of %d: %d, %v", piece, k, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil || !bytes.Equal(out.Bytes(), b) {
			t.Errorf("pieces of %d: %d bytes came out, %v", piece, out.Len(), err)
		}
	}
}

// Not a byte of a bad block, nor of what follows it, is passed on.
func TestWriterStops(t *testing.T) {
	b := data(130)
	tree := build(t, b)
	bad := bytes.Clone(b)
	bad[77*BlockSize+4095] ^= 0x80
	for _, piece := range []int{1000, len(bad)} {
		var out bytes.Buffer
		w := tree.Writer(&out)
		var err error
		for rest := bad; len(rest) > 0 && err == nil; {
			n := min(piece, len(rest))
			_, err = w.Write(rest[:n])
			rest = rest[n:]
		}
		if !errors.Is(err, ErrCorrupt) || !bytes.Equal(out.Bytes(), b[:77*BlockSize]) {
			t.Errorf("%d bytes came out, %v", out.Len(), err)
		}
		if _, err := w.Write(b[:1]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("goes on after the bad block: %v", err)
		}
		if err := w.Close(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("Close after the bad block: %v", err)
		}
	}
}

func TestWriterWantsAllAndNoMore(t *testing.T) {
	b := data(3)
	tree := build(t, b)
	for _, n := range []int{0, 1, 2 * BlockSize, 3*BlockSize - 1} {
		w := tree.Writer(io.Discard)
		if _, err := w.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	w := tree.Writer(io.Discard)
	if _, err := w.Write(append(bytes.Clone(b), b...)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("too much: %v", err)
	}
}

func TestRootHash(t *testing.T) {
	text := strings.Repeat("0a", 32)
	h, err := ParseRootHash(text)
	if err != nil || h.String() != text {
		t.Errorf("%s, %v", h, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", strings.ToUpper(text), text[:63] + "g", text + "\n"} {
		if _, err := ParseRootHash(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSignature(t *testing.T) {
	s := &Signature{Root: RootHash{1, 2}, PKCS7: []byte("signature"), Fingerprint: [32]byte{3}}
	b, err := s.Encode()
	if err != nil || len(b) != SignatureSize {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	got, err := ParseSignature(b)
	if err != nil || got.Root != s.Root || !bytes.Equal(got.PKCS7, s.PKCS7) || got.Fingerprint != s.Fingerprint {
		t.Errorf("%+v, %v", got, err)
	}
	s.PKCS7 = make([]byte, SignatureSize)
	if _, err := s.Encode(); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
}

func TestParseSignatureRefuses(t *testing.T) {
	root := strings.Repeat("0", 64)
	for _, text := range []string{
		"", "{}", "[]", `{"rootHash":"` + root + `"}`, `{"rootHash":"` + root + `","signature":""}`,
		`{"rootHash":"` + root + `","signature":"*"}`, `{"rootHash":"0","signature":"YQ=="}`,
		`{"rootHash":"` + root + `","signature":"YQ==","certificateFingerprint":"00"}`,
		`{"rootHash":"` + root + `","signature":"YQ=="} more`,
	} {
		b := append([]byte(text), make([]byte, BlockSize-len(text))...)
		if _, err := ParseSignature(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ParseSignature([]byte("{}")); !errors.Is(err, ErrFormat) {
		t.Errorf("no padding: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	built := build(f, data(130))
	f.Add(built.Bytes())
	f.Add(build(f, data(1)).Bytes())
	f.Fuzz(func(t *testing.T, device []byte) {
		tree, err := Open(bytes.NewReader(device), int64(len(device)), built.Root)
		if err != nil {
			return
		}
		if tree.Size() <= 0 || len(tree.Bytes()) > len(device) {
			t.Errorf("a tree of %d bytes out of %d", len(tree.Bytes()), len(device))
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	b, err := (&Signature{PKCS7: []byte("x")}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSignature(b)
		if err == nil && len(s.PKCS7) == 0 {
			t.Error("a signature without a signature")
		}
	})
}

func FuzzParseRootHash(f *testing.F) {
	f.Add(strings.Repeat("0123456789abcdef", 4))
	f.Add(strings.Repeat("A", 64))
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseRootHash(text)
		if err != nil && !errors.Is(err, ErrFormat) || err == nil && h.String() != text {
			t.Errorf("%q is %s, %v", text, h, err)
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	d := data(128 * 128)
	b.SetBytes(int64(len(d)))
	for b.Loop() {
		build(b, d)
	}
}
