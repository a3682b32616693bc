package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Disk is a disk whose table is replaced. Sync returns when all that was
// written is there to stay.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Current reads the table that counts on a disk of size bytes: the first copy,
// whatever the second says, or the second, at the disk's end, where the first is
// damaged. (That is what firmware does, too. The two differ where a change was
// cut off, or the disk is larger than the image on it.) DiskSize is the whole
// disk's. Errors wrap ErrFormat, or are r's.
func Current(r io.ReaderAt, size int64) (*Table, error) {
	t, _, err := current(r, size)
	if err != nil {
		return nil, fmt.Errorf("read partition table: %w", err)
	}
	return t, nil
}

// current also returns the header that the table belongs to.
func current(r io.ReaderAt, size int64) (*Table, *header, error) {
	var first error
	for _, place := range []func(sectors int64) uint64{
		func(int64) uint64 { return 1 },
		func(sectors int64) uint64 { return uint64(sectors - 1) },
	} {
		for _, sector := range []int64{512, 4096} {
			if front, back := reserved(sector); size%sector != 0 || size < front+back {
				continue
			}
			h, entries, err := readCopy(r, sector, place(size/sector), uint64(size/sector))
			if err != nil {
				first = cmpError(first, err)
				continue
			}
			t := &Table{SectorSize: sector, DiskSize: size, DiskID: h.DiskID.disk()}
			if err := t.parse(entries, entrySize); err != nil {
				return nil, nil, err
			}
			return t, h, t.check()
		}
	}
	if first == nil {
		first = fmt.Errorf("disk of %d bytes: %w", size, ErrFormat)
	}
	return nil, nil, first
}

// cmpError prefers an error of the device to "there is none".
func cmpError(a, b error) error {
	if a == nil || errors.Is(a, ErrFormat) && !errors.Is(b, ErrFormat) {
		return b
	}
	return a
}

// Update replaces the table of a disk of t.DiskSize bytes that has one, so that
// a power cut leaves the old table or this one: the change is the write of a
// single sector, the first header's. The entries it points to are written before,
// beside the old ones; there is room for both before the first partition, which
// must begin after front sectors. The second copy goes to the disk's end.
//
// Where it was damaged, the first copy is made whole before the second is touched.
func (t *Table) Update(d Disk) error {
	if err := t.update(d); err != nil {
		return fmt.Errorf("update partition table: %w", err)
	}
	return nil
}

func (t *Table) update(d Disk) error {
	_, back, err := t.Encode()
	if err != nil {
		return err
	}
	_, old, err := current(d, t.DiskSize)
	if err != nil {
		return err
	}
	const entriesBytes = entryCount * entrySize
	perCopy := uint64((entriesBytes + t.SectorSize - 1) / t.SectorSize)
	usable := 2 + 2*perCopy
	for i, p := range t.Partitions {
		if p.Start < int64(usable)*t.SectorSize {
			return fmt.Errorf("partition %d (%q) leaves no room for two tables before it: %w", i+1, p.Label, ErrFormat)
		}
	}
	first := header{}
	if err := binary.Read(bytes.NewReader(back[int64(len(back))-t.SectorSize:]), binary.LittleEndian, &first); err != nil {
		return err
	}
	first.FirstUsable = usable
	second := first
	first.MyLBA, first.AlternLBA = second.AlternLBA, second.MyLBA
	first.EntriesLBA = 2
	whole := old.MyLBA == 1
	if whole && old.EntriesLBA < 2+perCopy {
		if old.EntriesLBA != 2 {
			return fmt.Errorf("entries in sector %d leave no room beside them: %w", old.EntriesLBA, ErrFormat)
		}
		first.EntriesLBA = 2 + perCopy
	}
	copy(back[int64(len(back))-t.SectorSize:], second.encode())

	writeBack := func() error {
		if _, err := d.WriteAt(back, t.DiskSize-int64(len(back))); err != nil {
			return err
		}
		return d.Sync()
	}
	if whole {
		if err := writeBack(); err != nil {
			return err
		}
	}
	if err := t.writeFirst(d, &first, back[:entriesBytes]); err != nil {
		return err
	}
	if whole {
		return nil
	}
	return writeBack()
}

// writeFirst writes the first copy: its entries, the protective MBR, and when
// those are there to stay, the header.
func (t *Table) writeFirst(d Disk, h *header, entries []byte) error {
	if crc32.ChecksumIEEE(entries) != h.EntriesCRC {
		return fmt.Errorf("entries do not match their header: %w", ErrFormat)
	}
	if _, err := d.WriteAt(entries, int64(h.EntriesLBA)*t.SectorSize); err != nil {
		return err
	}
	mbr := make([]byte, t.SectorSize)
	if _, err := d.ReadAt(mbr, 0); err != nil {
		return err
	}
	const partitions = 446 // what stands before is a boot loader's
	clear(mbr[512:])       // or it could pass for a table of smaller sectors
	copy(mbr[partitions:512], t.protectiveMBR(uint64(t.DiskSize / t.SectorSize))[partitions:])
	if _, err := d.WriteAt(mbr, 0); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	sector := make([]byte, t.SectorSize)
	copy(sector, h.encode())
	if _, err := d.WriteAt(sector, t.SectorSize); err != nil {
		return err
	}
	return d.Sync()
}
