package xz

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/ulikunitz/xz"
)

// pack compresses by another program's code, with SHA-256 checks in blocks of
// 100,000 bytes.
func pack(t testing.TB, content []byte, check byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.WriterConfig{BlockSize: 100_000, CheckSum: check}.NewWriter(&b)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func content(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	r.Read(b[:n/2])
	return b
}

// TestRead: the digests are those of the pieces of the content.
func TestRead(t *testing.T) {
	want := content(350_000)
	packed := map[string][]byte{"ulikunitz/xz": pack(t, want, xz.SHA256)}
	if _, err := exec.LookPath("xz"); err == nil {
		c := exec.Command("xz", "--compress", "--stdout", "-0", "--check=sha256", "--block-size=100000", "--threads=2")
		c.Stdin = bytes.NewReader(want)
		if packed["xz"], err = c.Output(); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range packed {
		f, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f.Size != int64(len(want)) || len(f.Blocks) != 4 {
			t.Fatalf("%s: %+v", name, f)
		}
		for i, block := range f.Blocks {
			got, err := f.Digest(bytes.NewReader(b), i)
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(want[block.Start : block.Start+block.Size]); sum != got {
				t.Errorf("%s: block %d: %x, want %x", name, i, got, sum)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	good := pack(t, content(1000), xz.SHA256)
	read := func(b []byte) error {
		_, err := Read(bytes.NewReader(b), int64(len(b)))
		return err
	}
	if err := read(good); err != nil {
		t.Fatal(err)
	}
	header := HeaderSize + (int(good[HeaderSize])+1)*4
	for i := range good {
		if i >= header && i < len(good)-2*HeaderSize {
			continue // that is the decoder's to find
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0xff
		if err := read(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, n := range []int{0, 11, 24, len(good) - 1} {
		if err := read(good[:n]); !errors.Is(err, ErrFormat) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
	weak := pack(t, content(1000), xz.CRC64)
	f, err := Read(bytes.NewReader(weak), int64(len(weak)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Digest(bytes.NewReader(weak), 0); !errors.Is(err, ErrCheck) {
		t.Errorf("CRC64: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(pack(f, content(1000), xz.SHA256))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for i, block := range file.Blocks {
			if block.Offset < 0 || block.Offset+block.Length > int64(len(b)) || block.Size < 0 || block.Start+block.Size > file.Size {
				t.Fatalf("block %d: %+v", i, block)
			}
			file.Digest(bytes.NewReader(b), i)
		}
	})
}
