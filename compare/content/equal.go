package content

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

const blockSize = 1 << 20

// Sharer is content that may know faster than by its bytes whether another one
// has the same ones. Known false means that it cannot tell.
type Sharer interface {
	SameAs(Content) (same, known bool, err error)
}

// Equal reports whether two contents have the same bytes.
func Equal(a, b Content) (bool, error) {
	if a.Size() != b.Size() {
		return false, nil
	}
	if same, known, err := sharedSame(a, b); known || err != nil {
		return same, err
	}
	at, err := FirstDifference(a, b)
	return err == nil && at < 0, err
}

// sharedSame asks a content that may know faster.
func sharedSame(a, b Content) (same, known bool, err error) {
	if s, ok := a.(Sharer); ok {
		return s.SameAs(b)
	}
	return false, false, nil
}

// FirstDifference is the offset of the first byte that differs within the
// length of the shorter content, or -1. It uses all processors; large contents
// are read in pieces of 1 MiB.
func FirstDifference(a, b Content) (int64, error) {
	size := min(a.Size(), b.Size())
	if size <= blockSize {
		return scanBlocks(a, b, size, &cursor{}, nil)
	}
	var (
		found atomic.Int64
		next  cursor
		group sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	found.Store(size)
	for range min(runtime.GOMAXPROCS(0), 4) {
		group.Go(func() {
			at, err := scanBlocks(a, b, size, &next, &found)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && first == nil {
				first = err
			}
			if at >= 0 && at < found.Load() {
				found.Store(at)
			}
		})
	}
	group.Wait()
	if at := found.Load(); at < size {
		return at, first
	}
	return -1, first
}

// cursor hands out blocks.
type cursor struct{ n atomic.Int64 }

func (c *cursor) block() int64 { return (c.n.Add(1) - 1) * blockSize }

// scanBlocks compares the blocks that it gets from next until one differs, or
// until a difference before them is known.
func scanBlocks(a, b Content, size int64, next *cursor, found *atomic.Int64) (int64, error) {
	x, y := make([]byte, min(size, blockSize)), make([]byte, min(size, blockSize))
	for {
		off := next.block()
		if off >= size || found != nil && off > found.Load() {
			return -1, nil
		}
		n := min(size-off, blockSize)
		if same, err := storedSame(a, b, off, n); err != nil {
			return -1, err
		} else if same {
			continue
		}
		if err := ReadFull(a, x[:n], off); err != nil {
			return -1, err
		}
		if err := ReadFull(b, y[:n], off); err != nil {
			return -1, err
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return off + int64(mismatch(x[:n], y[:n])), nil
		}
	}
}

// mismatch is the index of the first byte that differs, or the length.
func mismatch(x, y []byte) int {
	n := 0
	for ; n+8 <= len(x); n += 8 {
		if d := binary.LittleEndian.Uint64(x[n:]) ^ binary.LittleEndian.Uint64(y[n:]); d != 0 {
			return n + bits.TrailingZeros64(d)/8
		}
	}
	for n < len(x) && x[n] == y[n] {
		n++
	}
	return n
}

// match is the index of the first byte that is the same, or the length.
func match(x, y []byte) int {
	n := 0
	for n < len(x) && x[n] != y[n] {
		n++
	}
	return n
}

// Range is a run of bytes.
type Range struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// End is the offset after the range.
func (r Range) End() int64 { return r.Offset + r.Length }

// Differences lists the runs of bytes that differ within the length of the
// shorter content, in order. Runs that are at most gap equal bytes apart are
// joined. It stops after limit runs and then says more. changed counts the
// bytes that differ in all runs listed.
func Differences(a, b Content, gap int64, limit int) (runs []Range, changed int64, more bool, err error) {
	size := min(a.Size(), b.Size())
	x, y := make([]byte, min(size, blockSize)), make([]byte, min(size, blockSize))
	for off := int64(0); off < size; off += blockSize {
		n := min(size-off, blockSize)
		if err := ReadFull(a, x[:n], off); err != nil {
			return runs, changed, false, err
		}
		if err := ReadFull(b, y[:n], off); err != nil {
			return runs, changed, false, err
		}
		for k := 0; k < int(n); {
			k += mismatch(x[k:n], y[k:n])
			if k == int(n) {
				break
			}
			length := match(x[k:n], y[k:n])
			start := off + int64(k)
			if last := len(runs) - 1; last >= 0 && start-runs[last].End() <= gap {
				runs[last].Length = start + int64(length) - runs[last].Offset
			} else if len(runs) == limit {
				return runs, changed, true, nil
			} else {
				runs = append(runs, Range{start, int64(length)})
			}
			changed += int64(length)
			k += length
		}
	}
	return runs, changed, false, nil
}
