// Package powercut is a disk in memory whose power can be cut: after a given
// number of writes it takes no more, and of what was written since the last sync
// any part may have reached the medium. It is for tests that try every cut.
package powercut

import (
	"errors"
	"fmt"
	"io"
	"maps"
)

// ErrCut: the power was cut.
var ErrCut = errors.New("power cut")

const (
	page   = 4096
	sector = 512
	// pieces is into how many parts, at most, a write is torn.
	pieces = 8
)

// A Disk is all zeros at first. It is not safe for concurrent use.
type Disk struct {
	size    int64
	medium  map[int64]*[page]byte
	pending []write
	writes  int
	stopAt  int
}

// write is a part of a write that the medium takes as a whole.
type write struct {
	at   int64
	data []byte
}

// New makes a disk of size bytes that takes any number of writes.
func New(size int64) *Disk {
	return &Disk{size: size, medium: map[int64]*[page]byte{}, stopAt: -1}
}

// Size is the disk's size in bytes.
func (d *Disk) Size() int64 { return d.size }

// Writes is how many writes the disk took. Larger ones count as several: they
// can be torn.
func (d *Disk) Writes() int { return d.writes }

// StopAfter lets the disk take n more writes; the next one, and everything after
// it, is ErrCut.
func (d *Disk) StopAfter(n int) { d.stopAt = d.writes + n }

func (d *Disk) cut() bool { return d.stopAt >= 0 && d.writes >= d.stopAt }

// ReadAt gives what was written, synced or not.
func (d *Disk) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 || at > d.size {
		return 0, fmt.Errorf("read at byte %d of %d", at, d.size)
	}
	n := int(min(int64(len(b)), d.size-at))
	read(d.medium, b[:n], at)
	for _, w := range d.pending {
		overlay(b[:n], at, w)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes, torn at sectors of 512 bytes where the power goes in between.
func (d *Disk) WriteAt(b []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(b)) > d.size {
		return 0, fmt.Errorf("write %d bytes at byte %d of %d", len(b), at, d.size)
	}
	step := (len(b)/pieces + sector - 1) / sector * sector
	step = max(step, sector)
	for done := 0; done < len(b); done += step {
		if d.cut() {
			return done, ErrCut
		}
		part := b[done:min(done+step, len(b))]
		d.pending = append(d.pending, write{at + int64(done), append([]byte(nil), part...)})
		d.writes++
	}
	return len(b), nil
}

// Sync brings all writes to the medium.
func (d *Disk) Sync() error {
	if d.cut() {
		return ErrCut
	}
	for _, w := range d.pending {
		apply(d.medium, w)
	}
	d.pending = nil
	return nil
}

// Survivor is the disk after the power is back: what was synced, and of the
// other writes those that kept says yes to; their order is lost.
func (d *Disk) Survivor(kept func() bool) *Disk {
	s := New(d.size)
	s.medium = maps.Clone(d.medium)
	for _, w := range d.pending {
		if kept() {
			apply(s.medium, w)
		}
	}
	return s
}

func read(medium map[int64]*[page]byte, b []byte, at int64) {
	clear(b)
	for done := 0; done < len(b); {
		p, from := (at+int64(done))/page, int((at+int64(done))%page)
		n := min(len(b)-done, page-from)
		if content := medium[p]; content != nil {
			copy(b[done:done+n], content[from:])
		}
		done += n
	}
}

// apply replaces pages by changed ones: disks share the pages they have in common.
func apply(medium map[int64]*[page]byte, w write) {
	for done := 0; done < len(w.data); {
		p, from := (w.at+int64(done))/page, int((w.at+int64(done))%page)
		var content [page]byte
		if old := medium[p]; old != nil {
			content = *old
		}
		done += copy(content[from:], w.data[done:])
		if content == [page]byte{} {
			delete(medium, p)
			continue
		}
		medium[p] = &content
	}
}

// overlay copies what of w lies in b, whose first byte is the disk's byte at.
func overlay(b []byte, at int64, w write) {
	from, to := max(at, w.at), min(at+int64(len(b)), w.at+int64(len(w.data)))
	if from < to {
		copy(b[from-at:to-at], w.data[from-w.at:to-w.at])
	}
}
