package content

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// inFrames compresses each part into a frame of its own that says its size.
func inFrames(t testing.TB, level zstd.EncoderLevel, parts ...[]byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithSingleSegment(true))
	must(t, err)
	var out []byte
	for _, p := range parts {
		out = e.EncodeAll(p, out)
	}
	return out
}

// split cuts b into parts of random sizes.
func split(random *rand.Rand, b []byte, largest int) (parts [][]byte) {
	for len(b) > 0 {
		n := min(len(b), 1+random.IntN(largest))
		parts, b = append(parts, b[:n]), b[n:]
	}
	return parts
}

func decompressed(t testing.TB, b []byte) *Decompressed {
	t.Helper()
	d, err := Decompress(Bytes(b), Zstd)
	must(t, err)
	if d.pieces == nil {
		t.Fatal("small frames are not read by themselves")
	}
	return d
}

// TestPieces reads many frames, more than are kept, by several goroutines.
func TestPieces(t *testing.T) {
	one := sample(1 << 20)
	var want []byte
	var parts [][]byte
	for n := range 40 {
		one[n] ^= 0xff
		want = append(want, one...)
		parts = append(parts, want[len(want)-len(one):])
	}
	d := decompressed(t, inFrames(t, zstd.SpeedFastest, parts...))
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(9, uint64(n)))
			for range 60 {
				off := random.IntN(len(want))
				b := make([]byte, 1+random.IntN(min(3<<20, len(want)-off)))
				if err := ReadFull(d, b, int64(off)); err != nil || !bytes.Equal(b, want[off:off+len(b)]) {
					t.Errorf("%d bytes at %d: %v, or others", len(b), off, err)
				}
			}
		})
	}
	group.Wait()
	if d.pieces.held > keptPieces || d.pieces.recent.Len() != len(d.pieces.kept) {
		t.Errorf("%d bytes are kept, %d pieces of %d", d.pieces.held, d.pieces.recent.Len(), len(d.pieces.kept))
	}
	if n, err := d.ReadAt(make([]byte, 10), d.Size()-3); n != 3 || err == nil {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	if n, err := d.ReadAt(make([]byte, 10), -1); n != 0 || err == nil {
		t.Errorf("before the start: %d, %v", n, err)
	}
}

// TestPiecesRefuse: a frame that does not hold what its header says.
func TestPiecesRefuse(t *testing.T) {
	good := inFrames(t, zstd.SpeedDefault, sample(1000), sample(2000))
	for _, change := range []struct {
		name string
		at   int
		to   byte
	}{{"a larger size", 5, 1}, {"a smaller size", 6, 1}, {"another byte", len(good) - 9, good[len(good)-9] ^ 1}} {
		b := bytes.Clone(good)
		b[change.at] = change.to
		d, err := Decompress(Bytes(b), Zstd)
		must(t, err)
		if _, err := ReadAll(d, 1<<20); !errors.Is(err, ErrCompressed) {
			t.Errorf("%s: %v", change.name, err)
		}
	}
}

// TestStored: contents that are compressed in any way compare as their bytes do.
func TestStored(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	levels := []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedBetterCompression}
	for range 60 {
		x := sample(1 + random.IntN(20_000))
		y := bytes.Clone(x)
		for range random.IntN(3) {
			y[random.IntN(len(y))] ^= 1
		}
		largest := 1 + random.IntN(5000)
		cut := uint64(random.Uint32())
		a := decompressed(t, inFrames(t, levels[0], split(rand.New(rand.NewPCG(cut, 0)), x, largest)...))
		b := decompressed(t, inFrames(t, levels[random.IntN(2)], split(rand.New(rand.NewPCG(cut, uint64(random.IntN(2)))), y, largest)...))
		for range 30 {
			off, n := random.IntN(len(x)), random.IntN(len(x))
			shift := random.IntN(3) / 2
			want, err := FirstDifference(Section(Bytes(x), int64(off), int64(n)), Section(Bytes(y), int64(off+shift), int64(n)))
			must(t, err)
			got, err := FirstDifference(Section(a, int64(off), int64(n)), Section(b, int64(off+shift), int64(n)))
			if got != want || err != nil {
				t.Fatalf("[%d, +%d) and from %d: %d, %v; want %d", off, n, off+shift, got, err, want)
			}
		}
	}
}

// TestStoredIsNotDecompressed: only frames that differ are.
func TestStoredIsNotDecompressed(t *testing.T) {
	var parts, changed [][]byte
	for n := range 8 {
		parts = append(parts, bytes.Repeat([]byte{byte(n), 1, 2, 3}, blockSize/4))
		changed = append(changed, bytes.Clone(parts[n]))
	}
	changed[5][77]++
	a := decompressed(t, inFrames(t, zstd.SpeedDefault, parts...))
	b := decompressed(t, inFrames(t, zstd.SpeedDefault, changed...))
	var count atomic.Int32
	for _, d := range []*Decompressed{a, b} {
		decode := d.pieces.decode
		d.pieces.decode = func(dst, src []byte) error {
			count.Add(1)
			return decode(dst, src)
		}
	}
	if at, err := FirstDifference(a, b); at != 5*blockSize+77 || err != nil {
		t.Errorf("first difference at %d, %v", at, err)
	}
	if n := count.Load(); n != 2 {
		t.Errorf("%d frames were decompressed, want 2", n)
	}
	// A difference in the compressed form alone is none.
	other := decompressed(t, inFrames(t, zstd.SpeedBetterCompression, changed...))
	if at, err := FirstDifference(b, other); at != -1 || err != nil {
		t.Errorf("the same, compressed in two ways: %d, %v", at, err)
	}
}
