package vfat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// overlapping makes a FAT16 volume (ECMA-107) whose files all claim the same clusters:
// many bytes out of few.
func overlapping(files int, size uint32) []byte {
	const (
		sector, clusters         = 512, 5000
		fat, root, first         = sector, 41 * sector, 105 * sector
		entries, clusterToSector = 1024, 1
	)
	le := binary.LittleEndian
	b := make([]byte, first+clusters*sector)
	copy(b, "\xeb\x3c\x90mkfs.fat")
	le.PutUint16(b[11:], sector)
	b[13] = clusterToSector
	le.PutUint16(b[14:], 1) // reserved sectors
	b[16] = 1               // tables
	le.PutUint16(b[17:], entries)
	le.PutUint16(b[19:], uint16(len(b)/sector))
	b[21] = 0xf8
	le.PutUint16(b[22:], (root-fat)/sector)
	copy(b[510:], "\x55\xaa")
	for c := range clusters {
		next := uint16(c + 3)
		if c == clusters-1 {
			next = 0xffff
		}
		le.PutUint16(b[fat+2*(c+2):], next)
	}
	for n := range files {
		e := b[root+32*n:]
		copy(e, fmt.Sprintf("F%07dBIN", n))
		e[11] = 0x20
		if size > 0 {
			le.PutUint16(e[26:], 2)
			le.PutUint32(e[28:], size)
		}
	}
	return b
}

func readAll(image []byte, l Limits) (map[string][]byte, error) {
	v, err := Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, err
	}
	return v.Files(l)
}

// TestFiles: what is read of a volume is bounded, whatever it claims.
func TestFiles(t *testing.T) {
	limits := Limits{Entries: 3, Bytes: 15000}
	files, err := readAll(overlapping(3, 5000), limits)
	if err != nil || len(files) != 3 || len(files["F0000000.BIN"]) != 5000 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for name, c := range map[string]struct {
		files int
		size  uint32
	}{"files": {4, 0}, "bytes": {3, 5001}} {
		if _, err := readAll(overlapping(c.files, c.size), limits); !errors.Is(err, ErrLimit) {
			t.Errorf("too many %s: %v", name, err)
		}
	}
}

// TestFilesTwice: a name that two entries have is refused, whoever of them is a folder.
func TestFilesTwice(t *testing.T) {
	const root = 41 * 512
	for name, change := range map[string]func(first, second []byte){
		"two files":       func([]byte, []byte) {},
		"in another case": func(_, second []byte) { second[12] = caseBase | caseExt },
		"a file and a folder": func(first, _ []byte) {
			first[11] = AttrDirectory
			first[20], first[21], first[26], first[27] = 0, 0, 3, 0 // a cluster of zeros
		},
	} {
		image := overlapping(2, 0)
		first, second := image[root:root+32], image[root+32:root+64]
		copy(second[:11], first[:11])
		image[512+2*3], image[512+2*3+1] = 0xff, 0xff // a chain of one cluster
		change(first, second)
		if _, err := readAll(image, Limits{Entries: 3, Depth: 1}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFiles: no volume takes more than it may.
func FuzzFiles(f *testing.F) {
	f.Add(overlapping(3, 5000)[:200*512])
	f.Add(overlapping(20, 0)[:200*512])
	f.Fuzz(func(t *testing.T, b []byte) {
		limits := Limits{Depth: 2, Entries: 10, Bytes: 20000}
		files, err := readAll(b, limits)
		total := 0
		for _, text := range files {
			total += len(text)
		}
		if err == nil && len(files) > limits.Entries || int64(total) > limits.Bytes {
			t.Errorf("%d files, %d bytes", len(files), total)
		}
	})
}
