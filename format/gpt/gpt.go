// Package gpt writes and reads GUID partition tables for disks with sectors of
// 512 or 4096 bytes.
//
// Specification: UEFI 2.10, chapter 5; attribute bits and type GUIDs: the
// Discoverable Partitions Specification.
package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
)

const (
	// MaxLabel is the number of UTF-16 units that a label holds.
	MaxLabel = 36

	// Align is the alignment in bytes that Layout gives to partitions.
	Align = 1 << 20

	entryCount = 128
	entrySize  = 128
	headerSize = 92
)

// Attribute bits of the Discoverable Partitions Specification.
const (
	GrowFS   uint64 = 1 << 59
	ReadOnly uint64 = 1 << 60
	NoAuto   uint64 = 1 << 63
)

// ErrFormat is wrapped by every error that says that bytes are not a partition
// table, or that a table cannot be written as asked.
var ErrFormat = errors.New("not a usable partition table")

// Partition is one entry. Start and Size are in bytes.
type Partition struct {
	// Number is the entry's place, counted from 1: vda3 is number 3 on vda. 0
	// stands for the place after the partition before it in the table.
	Number     int
	Type       GUID
	ID         GUID
	Label      string
	Attributes uint64
	Start      int64
	Size       int64
}

// Table is the partition table of a disk.
type Table struct {
	// SectorSize is 512 or 4096 bytes.
	SectorSize int64
	// DiskSize is the size in bytes of the whole disk.
	DiskSize   int64
	DiskID     GUID
	Partitions []Partition
}

// CheckLabel refuses a label that an entry cannot hold.
func CheckLabel(s string) error {
	if n := len(utf16.Encode([]rune(s))); n > MaxLabel {
		return fmt.Errorf("partition label %q has %d UTF-16 units, at most %d fit: %w", s, n, MaxLabel, ErrFormat)
	}
	return nil
}

// reserved returns the bytes that the table takes at the beginning (with the
// protective MBR) and at the end of a disk.
func reserved(sector int64) (front, back int64) {
	entries := (entryCount*entrySize + sector - 1) / sector * sector
	return 2*sector + entries, sector + entries
}

// Usable is the byte at which the space for partitions ends.
func (t *Table) Usable() int64 {
	_, back := reserved(t.SectorSize)
	return t.DiskSize - back
}

// Layout places partitions one after another from the first aligned byte, sets
// each Start and the table's DiskSize. Sizes must be set; they are rounded up
// to whole sectors of 4096 bytes, so that a layout serves either sector size.
func (t *Table) Layout() {
	at := int64(Align)
	for i := range t.Partitions {
		p := &t.Partitions[i]
		p.Start = at
		p.Size = roundUp(p.Size, 4096)
		at = roundUp(at+p.Size, Align)
	}
	_, back := reserved(4096)
	t.DiskSize = roundUp(at+back, Align)
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// check says why a table cannot be written, or is not to be believed.
func (t *Table) check() error {
	if t.SectorSize != 512 && t.SectorSize != 4096 {
		return fmt.Errorf("sector size %d, want 512 or 4096: %w", t.SectorSize, ErrFormat)
	}
	front, back := reserved(t.SectorSize)
	if t.DiskSize%t.SectorSize != 0 || t.DiskSize < front+back {
		return fmt.Errorf("disk of %d bytes: %w", t.DiskSize, ErrFormat)
	}
	if err := t.checkNumbers(); err != nil {
		return err
	}
	for i, p := range t.Partitions {
		if err := CheckLabel(p.Label); err != nil {
			return err
		}
		end := p.Start + p.Size
		if p.Type == (GUID{}) || p.ID == (GUID{}) {
			return fmt.Errorf("partition %d (%q) has no type or no identifier: %w", i+1, p.Label, ErrFormat)
		}
		if p.Start%t.SectorSize != 0 || p.Size%t.SectorSize != 0 || p.Size <= 0 || p.Start < front || end < 0 || end > t.DiskSize-back {
			return fmt.Errorf("partition %d (%q) at byte %d, %d bytes long, does not fit: %w", i+1, p.Label, p.Start, p.Size, ErrFormat)
		}
		for k, q := range t.Partitions[:i] {
			if p.Start < q.Start+q.Size && q.Start < end {
				return fmt.Errorf("partitions %d (%q) and %d (%q) overlap: %w", k+1, q.Label, i+1, p.Label, ErrFormat)
			}
			if p.ID == q.ID {
				return fmt.Errorf("partitions %d (%q) and %d (%q) have the same identifier %s: %w", k+1, q.Label, i+1, p.Label, p.ID, ErrFormat)
			}
		}
	}
	return nil
}

// Numbers returns each partition's number.
func (t *Table) Numbers() []int {
	numbers := make([]int, len(t.Partitions))
	last := 0
	for i, p := range t.Partitions {
		if last++; p.Number != 0 {
			last = p.Number
		}
		numbers[i] = last
	}
	return numbers
}

func (t *Table) checkNumbers() error {
	var used [entryCount + 1]bool
	for i, n := range t.Numbers() {
		if n < 1 || n > entryCount || used[n] {
			return fmt.Errorf("partition %q has number %d, want one of 1 to %d that no other has: %w", t.Partitions[i].Label, n, entryCount, ErrFormat)
		}
		used[n] = true
	}
	return nil
}

// header is the on-disk header, little endian.
type header struct {
	Signature   [8]byte
	Revision    uint32
	Size        uint32
	CRC         uint32
	_           uint32
	MyLBA       uint64
	AlternLBA   uint64
	FirstUsable uint64
	LastUsable  uint64
	DiskID      GUID
	EntriesLBA  uint64
	Entries     uint32
	EntrySize   uint32
	EntriesCRC  uint32
}

type entry struct {
	Type, ID   GUID
	First      uint64
	Last       uint64
	Attributes uint64
	Label      [MaxLabel]uint16
}

var signature = [8]byte{'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'}

// Write writes the protective MBR and both copies of the table to a disk of
// t.DiskSize bytes, and nothing between them.
func (t *Table) Write(w io.WriterAt) error {
	front, back, err := t.Encode()
	if err != nil {
		return err
	}
	if _, err := w.WriteAt(front, 0); err != nil {
		return fmt.Errorf("write partition table: %w", err)
	}
	if _, err := w.WriteAt(back, t.DiskSize-int64(len(back))); err != nil {
		return fmt.Errorf("write partition table: %w", err)
	}
	return nil
}

// Encode returns the bytes for the beginning and for the end of the disk.
func (t *Table) Encode() (front, back []byte, err error) {
	if err := t.check(); err != nil {
		return nil, nil, fmt.Errorf("write partition table: %w", err)
	}
	frontSize, backSize := reserved(t.SectorSize)
	front, back = make([]byte, frontSize), make([]byte, backSize)
	entries := t.entries()
	copy(front[2*t.SectorSize:], entries)
	copy(back, entries)

	sectors := uint64(t.DiskSize / t.SectorSize)
	h := header{
		Signature: signature, Revision: 0x00010000, Size: headerSize,
		MyLBA: 1, AlternLBA: sectors - 1,
		FirstUsable: uint64(frontSize / t.SectorSize),
		LastUsable:  sectors - uint64(backSize/t.SectorSize) - 1,
		DiskID:      t.DiskID.disk(), EntriesLBA: 2,
		Entries: entryCount, EntrySize: entrySize, EntriesCRC: crc32.ChecksumIEEE(entries),
	}
	copy(front, t.protectiveMBR(sectors))
	copy(front[t.SectorSize:], h.encode())
	h.MyLBA, h.AlternLBA = h.AlternLBA, h.MyLBA
	h.EntriesLBA = h.LastUsable + 1
	copy(back[backSize-t.SectorSize:], h.encode())
	return front, back, nil
}

func (t *Table) entries() []byte {
	all := make([]byte, entryCount*entrySize)
	numbers := t.Numbers()
	for i, p := range t.Partitions {
		e := entry{
			Type: p.Type.disk(), ID: p.ID.disk(), Attributes: p.Attributes,
			First: uint64(p.Start / t.SectorSize), Last: uint64((p.Start+p.Size)/t.SectorSize) - 1,
		}
		copy(e.Label[:], utf16.Encode([]rune(p.Label)))
		// Encoding fixed-size fields into enough room cannot fail.
		_, _ = binary.Encode(all[(numbers[i]-1)*entrySize:], binary.LittleEndian, &e)
	}
	return all
}

func (h header) encode() []byte {
	h.CRC = 0
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, &h)
	binary.LittleEndian.PutUint32(b.Bytes()[16:], crc32.ChecksumIEEE(b.Bytes()))
	return b.Bytes()
}

// protectiveMBR covers the whole disk with one partition of type 0xEE, so that
// tools that do not know this format see a full disk.
func (t *Table) protectiveMBR(sectors uint64) []byte {
	b := make([]byte, 512)
	p := b[446:]
	copy(p, []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff})
	binary.LittleEndian.PutUint32(p[8:], 1)
	binary.LittleEndian.PutUint32(p[12:], uint32(min(sectors-1, 0xffffffff)))
	b[510], b[511] = 0x55, 0xaa
	return b
}
