package content

import (
	"bytes"
	"sync"
)

// storedSame reports whether the bytes [off, off+n) of two contents are the same
// because their compressed forms are, segment by segment. False means that nothing
// is known.
func storedSame(a, b Content, off, n int64) (bool, error) {
	baseA, offA := base(a)
	baseB, offB := base(b)
	x, okX := baseA.(*Decompressed)
	y, okY := baseB.(*Decompressed)
	if !okX || !okY || x.pieces == nil || y.pieces == nil || x.algorithm != y.algorithm {
		return false, nil
	}
	i, j := segmentAt(x.segments, offA+off), segmentAt(y.segments, offB+off)
	for ; i < len(x.segments) && x.segments[i].out < offA+off+n; i, j = i+1, j+1 {
		if j == len(y.segments) || x.segments[i].out-offA != y.segments[j].out-offB {
			return false, nil
		}
		if same, err := x.like(y, i, j); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// likeness remembers which segments are stored like those of another content: each
// is asked for many times, and holds many files.
type likeness struct {
	mu    sync.Mutex
	other *Decompressed
	known map[[2]int]bool
}

// like reports whether segment i is stored like segment j of y.
func (d *Decompressed) like(y *Decompressed, i, j int) (bool, error) {
	key := [2]int{i, j}
	l := &d.likeness
	l.mu.Lock()
	if l.other != y || len(l.known) > maxSegments {
		l.other, l.known = y, map[[2]int]bool{}
	}
	same, known := l.known[key]
	l.mu.Unlock()
	if known {
		return same, nil
	}
	s, t := d.segments[i], y.segments[j]
	same = s.inLength == t.inLength && s.outLength == t.outLength
	if same {
		x, z := make([]byte, s.inLength), make([]byte, t.inLength)
		if err := ReadFull(d.in, x, s.in); err != nil {
			return false, err
		}
		if err := ReadFull(y.in, z, t.in); err != nil {
			return false, err
		}
		same = bytes.Equal(x, z)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.other == y {
		l.known[key] = same
	}
	return same, nil
}
