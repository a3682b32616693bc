package gpt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"unicode/utf16"
)

// Read reads the partition table at the beginning of a disk of size bytes and
// checks it against its checksums and against the copy at the end. A table that
// the two do not agree on is an error, as is an entry that does not fit or
// overlaps another. The sector size is found out by looking for the header.
// Errors wrap ErrFormat, or are r's.
func Read(r io.ReaderAt, size int64) (*Table, error) {
	for _, sector := range []int64{512, 4096} {
		if front, back := reserved(sector); size%sector != 0 || size < front+back {
			continue
		}
		var sig [8]byte
		if _, err := r.ReadAt(sig[:], sector); err != nil {
			return nil, fmt.Errorf("read partition table: %w", err)
		}
		if sig != signature {
			continue
		}
		t, err := read(r, size, sector)
		if err != nil {
			return nil, fmt.Errorf("read partition table: %w", err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("read partition table: no header: %w", ErrFormat)
}

func read(r io.ReaderAt, size, sector int64) (*Table, error) {
	sectors := uint64(size / sector)
	h, entries, err := readCopy(r, sector, 1, sectors)
	if err != nil {
		return nil, fmt.Errorf("first copy: %w", err)
	}
	if h.AlternLBA != sectors-1 {
		return nil, fmt.Errorf("copy stands in sector %d, the disk ends with %d: %w", h.AlternLBA, sectors-1, ErrFormat)
	}
	h2, entries2, err := readCopy(r, sector, h.AlternLBA, sectors)
	if err != nil {
		return nil, fmt.Errorf("second copy: %w", err)
	}
	if h2.AlternLBA != 1 || h2.DiskID != h.DiskID || h2.FirstUsable != h.FirstUsable ||
		h2.LastUsable != h.LastUsable || !bytes.Equal(entries, entries2) {
		return nil, fmt.Errorf("the two copies differ: %w", ErrFormat)
	}
	t := &Table{SectorSize: sector, DiskSize: size, DiskID: h.DiskID.disk()}
	if err := t.parse(entries, int(h.EntrySize)); err != nil {
		return nil, err
	}
	return t, t.check()
}

// readCopy reads and checks one copy of header and entries.
func readCopy(r io.ReaderAt, sector int64, lba, sectors uint64) (*header, []byte, error) {
	b := make([]byte, sector)
	if _, err := r.ReadAt(b, int64(lba)*sector); err != nil {
		return nil, nil, err
	}
	var h header
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, &h); err != nil {
		return nil, nil, err
	}
	if h.Signature != signature || h.Size < headerSize || int64(h.Size) > sector || h.MyLBA != lba {
		return nil, nil, fmt.Errorf("no header in sector %d: %w", lba, ErrFormat)
	}
	want := h.CRC
	clear(b[16:20])
	if crc32.ChecksumIEEE(b[:h.Size]) != want {
		return nil, nil, fmt.Errorf("header has a wrong checksum: %w", ErrFormat)
	}
	// The specification allows other counts and sizes; nobody writes them.
	if h.Entries != entryCount || h.EntrySize != entrySize {
		return nil, nil, fmt.Errorf("%d entries of %d bytes, want %d of %d: %w", h.Entries, h.EntrySize, entryCount, entrySize, ErrFormat)
	}
	if h.EntriesLBA == 0 || h.EntriesLBA >= sectors {
		return nil, nil, fmt.Errorf("entries in sector %d: %w", h.EntriesLBA, ErrFormat)
	}
	entries := make([]byte, entryCount*entrySize)
	if _, err := r.ReadAt(entries, int64(h.EntriesLBA)*sector); err != nil {
		return nil, nil, fmt.Errorf("entries: %w", err)
	}
	if crc32.ChecksumIEEE(entries) != h.EntriesCRC {
		return nil, nil, fmt.Errorf("entries have a wrong checksum: %w", ErrFormat)
	}
	return &h, entries, nil
}

// parse takes over the used entries.
func (t *Table) parse(entries []byte, size int) error {
	limit := uint64(t.DiskSize / t.SectorSize)
	number := 0
	for b := range slices.Chunk(entries, size) {
		number++
		var e entry
		if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, &e); err != nil {
			return err
		}
		if e.Type == (GUID{}) {
			continue
		}
		if e.Last < e.First || e.Last >= limit {
			return fmt.Errorf("partition %d covers sectors %d to %d: %w", number, e.First, e.Last, ErrFormat)
		}
		label := e.Label[:]
		if i := slices.Index(label, 0); i >= 0 {
			label = label[:i]
		}
		t.Partitions = append(t.Partitions, Partition{
			Number: number, Type: e.Type.disk(), ID: e.ID.disk(), Label: string(utf16.Decode(label)), Attributes: e.Attributes,
			Start: int64(e.First) * t.SectorSize, Size: int64(e.Last-e.First+1) * t.SectorSize,
		})
	}
	return nil
}
