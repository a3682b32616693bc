package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Entry is one name in a directory. Type is the entry's own copy of the
// inode's type (1 file, 2 directory, 3 char, 4 block, 5 fifo, 6 socket, 7 link).
type Entry struct {
	Name string
	NID  uint64
	Type uint8
}

const entrySize = 12

// ReadDir lists the directory in the order of the image, without "." and
// "..". A correct image is sorted by name; whoever needs that must check it.
// A name with a slash or a NUL byte is an error, an entry without name too.
func (i *Inode) ReadDir() ([]Entry, error) {
	if !i.IsDir() {
		return nil, fmt.Errorf("inode %d is not a directory", i.NID)
	}
	if i.Size > maxDirectorySize {
		return nil, fmt.Errorf("inode %d: %w: directory of %d bytes", i.NID, ErrCorrupt, i.Size)
	}
	var entries []Entry
	block := make([]byte, i.img.super.BlockSize())
	for off := int64(0); off < i.Size; off += int64(len(block)) {
		b := block[:min(int64(len(block)), i.Size-off)]
		if _, err := i.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read directory: %w", err)
		}
		var err error
		if entries, err = appendEntries(entries, b); err != nil {
			return nil, fmt.Errorf("inode %d: directory block %d: %w", i.NID, off/int64(len(block)), err)
		}
	}
	return entries, nil
}

func appendEntries(entries []Entry, b []byte) ([]Entry, error) {
	le := binary.LittleEndian
	if len(b) < entrySize {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	}
	first := int(le.Uint16(b[8:]))
	if first < entrySize || first > len(b) || first%entrySize != 0 {
		return nil, fmt.Errorf("%w: names start at %d", ErrCorrupt, first)
	}
	count := first / entrySize
	for n := range count {
		d := b[n*entrySize:]
		start, end := int(le.Uint16(d[8:])), len(b)
		if n+1 < count {
			end = int(le.Uint16(d[entrySize+8:]))
		}
		if start < first || start >= end || end > len(b) {
			return nil, fmt.Errorf("%w: name from %d to %d", ErrCorrupt, start, end)
		}
		name := string(b[start:end])
		if n+1 == count {
			name = cString(b[start:end])
		}
		if name == "." || name == ".." {
			continue
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Name: name, NID: le.Uint64(d), Type: d[10]})
	}
	return entries, nil
}

func checkName(name string) error {
	if name == "" || len(name) > 255 {
		return fmt.Errorf("%w: name of %d bytes", ErrCorrupt, len(name))
	}
	for n := range len(name) {
		if name[n] == '/' || name[n] == 0 {
			return fmt.Errorf("%w: name %q", ErrCorrupt, name)
		}
	}
	return nil
}
