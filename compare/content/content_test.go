package content

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sample is text that compresses, size bytes of it.
func sample(size int) []byte {
	random := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, size)
	for n := range b {
		b[n] = "abcdefgh"[random.IntN(8)]
	}
	return b
}

func compressed(t testing.TB, a Algorithm, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, p := range parts {
		var w io.WriteCloser
		var err error
		switch a {
		case Zstd:
			w, err = zstd.NewWriter(&out)
		case Gzip:
			w = gzip.NewWriter(&out)
		case XZ:
			w, err = xz.WriterConfig{BlockSize: 300_000}.NewWriter(&out)
		}
		must(t, err)
		_, err = w.Write(p)
		must(t, err)
		must(t, w.Close())
	}
	return out.Bytes()
}

// TestDecompress reads compressed content of one and of many segments at
// random places, and compares.
func TestDecompress(t *testing.T) {
	want := sample(21_000_001) // more than the cache holds
	for name, in := range map[string][]byte{
		"gzip":        compressed(t, Gzip, want),
		"gzip twice":  compressed(t, Gzip, want[:1000], want[1000:]),
		"zstd":        compressed(t, Zstd, want),
		"zstd frames": compressed(t, Zstd, want[:1], want[1:1_000_000], nil, want[1_000_000:1_262_144], want[1_262_144:]),
		"xz blocks":   compressed(t, XZ, want[:1_500_000]),
	} {
		t.Run(name, func(t *testing.T) {
			want := want
			if name == "xz blocks" { // its compressor is slow
				want = want[:1_500_000]
			}
			a, err := DetectAlgorithm(Bytes(in))
			must(t, err)
			d, err := Decompress(Bytes(in), a)
			must(t, err)
			if d.Size() != int64(len(want)) {
				t.Fatalf("size %d, want %d", d.Size(), len(want))
			}
			random := rand.New(rand.NewPCG(5, 6))
			for range 12 {
				off := random.IntN(len(want))
				b := make([]byte, min(400_000, len(want)-off))
				must(t, ReadFull(d, b, int64(off)))
				if !bytes.Equal(b, want[off:off+len(b)]) {
					t.Fatalf("bytes at %d differ", off)
				}
			}
			if same, err := Equal(d, Bytes(want)); err != nil || !same {
				t.Errorf("equal: %v, %v", same, err)
			}
		})
	}
}

func TestDecompressRefuses(t *testing.T) {
	good := sample(100_000)
	for _, a := range []Algorithm{Gzip, Zstd, XZ} {
		b := compressed(t, a, good)
		if _, err := Decompress(Bytes(b[:len(b)-20]), a); err == nil {
			t.Errorf("%s: a cut off content is accepted", a)
		}
	}
	// A zstd frame that asks for a window of 2 GiB.
	d, err := Decompress(Bytes([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x03, 0, 0, 0}), Zstd)
	if err == nil {
		t.Errorf("a huge window is accepted: %d bytes", d.Size())
	}
}

func TestDifferences(t *testing.T) {
	a := sample(3_000_000)
	b := bytes.Clone(a)
	for _, off := range []int{0, 5, 1 << 20, 1<<20 + 1, 2_999_999} {
		b[off] ^= 0x80
	}
	if at, err := FirstDifference(Bytes(a), Bytes(b)); err != nil || at != 0 {
		t.Errorf("first difference at %d, %v", at, err)
	}
	if at, err := FirstDifference(Bytes(a[1000:]), Bytes(b[1000:])); err != nil || at != 1<<20-1000 {
		t.Errorf("first difference at %d, %v", at, err)
	}
	runs, changed, more, err := Differences(Bytes(a), Bytes(b), 8, 10)
	must(t, err)
	want := []Range{{0, 6}, {1 << 20, 2}, {2_999_999, 1}}
	if more || changed != 5 || len(runs) != len(want) {
		t.Fatalf("%v, %d bytes, %v", runs, changed, more)
	}
	for n := range want {
		if runs[n] != want[n] {
			t.Errorf("run %d is %v, want %v", n, runs[n], want[n])
		}
	}
	if _, _, more, _ := Differences(Bytes(a), Bytes(b), 0, 2); !more {
		t.Error("the limit is not told")
	}
	if same, _ := Equal(Bytes(a), Bytes(a[:10])); same {
		t.Error("contents of different size are equal")
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("abc"), 0o644))
	must(t, os.Symlink(file, filepath.Join(dir, "link")))
	if _, err := Open(filepath.Join(dir, "link")); err == nil {
		t.Error("a link is followed")
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder is opened")
	}
	f, err := Open(file)
	must(t, err)
	defer f.Close()
	if b, err := ReadAll(f, 3); err != nil || string(b) != "abc" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := ReadAll(f, 2); !errors.Is(err, ErrLimit) {
		t.Errorf("limit: %v", err)
	}
	if b, err := ReadAll(Section(Section(f, 1, 9), 1, 9), 9); err != nil || string(b) != "c" {
		t.Errorf("section of a section: %q, %v", b, err)
	}
}

func FuzzDecompress(f *testing.F) {
	for _, a := range []Algorithm{Gzip, Zstd, XZ} {
		f.Add(compressed(f, a, sample(5000), sample(10)))
	}
	f.Add(inFrames(f, zstd.SpeedDefault, sample(5000), sample(1), sample(10)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DetectAlgorithm(Bytes(b))
		if err != nil || a == None {
			return
		}
		d, err := Decompress(Bytes(b), a)
		if err != nil || d.Size() > 1<<24 {
			return
		}
		_, _ = io.Copy(io.Discard, Reader(d))
	})
}
