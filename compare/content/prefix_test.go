package content

import (
	"bytes"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

// counted counts what is read of a content.
type counted struct {
	Content
	read *atomic.Int64
}

func (c counted) ReadAt(b []byte, off int64) (int, error) {
	c.read.Add(int64(len(b)))
	return c.Content.ReadAt(b, off)
}

// TestScans: whatever parts are asked for, in whatever order, the answer is that
// of reading them; and parts of what was scanned are not read again.
func TestScans(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		size := 1 + random.IntN(2000)
		x := make([]byte, size)
		y := bytes.Clone(x)
		for range random.IntN(4) {
			y[random.IntN(size)] ^= 1
		}
		a, b := Bytes(x), Bytes(y)
		var s Scans
		for range 40 {
			off, n := random.IntN(size), random.IntN(size)
			shift := random.IntN(3) / 2
			pa, pb := Section(a, int64(off), int64(n)), Section(b, int64(off+shift), int64(n))
			want, err := Equal(pa, pb)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Equal(pa, pb); got != want || err != nil {
				t.Fatalf("[%d, +%d) and [%d, +%d): %v, %v; want %v", off, n, off+shift, n, got, err, want)
			}
		}
	}
	var read atomic.Int64
	x := make([]byte, 8<<20)
	y := bytes.Clone(x)
	y[6<<20] = 1
	a, b := Content(counted{Bytes(x), &read}), Content(counted{Bytes(y), &read})
	var s Scans
	if same, _ := s.Equal(a, b); same {
		t.Fatal("no difference found")
	}
	read.Store(0)
	for _, c := range []struct {
		off, n int64
		same   bool
	}{{0, 1 << 20, true}, {1 << 20, 5 << 20, true}, {5 << 20, 2 << 20, false}, {0, 6<<20 + 1, false}} {
		if same, err := s.Equal(Section(a, c.off, c.n), Section(b, c.off, c.n)); same != c.same || err != nil {
			t.Errorf("[%d, +%d): %v, %v", c.off, c.n, same, err)
		}
	}
	if n := read.Load(); n > 0 {
		t.Errorf("%d bytes were read again", n)
	}
}
