package boundary

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/mastercard/mangos/compare/content"
)

// volume makes a FAT16 volume (ECMA-107) whose files all claim the same clusters:
// many bytes out of few.
func volume(files int, size uint32) []byte {
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

// TestReadBoot: what is read of a boot partition is bounded, whatever it claims.
func TestReadBoot(t *testing.T) {
	files, err := readBoot(content.Bytes(volume(3, 5000)), 3, 15000)
	if err != nil || len(files) != 3 || len(files["F0000000.BIN"]) != 5000 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for name, c := range map[string]struct {
		files int
		size  uint32
	}{"files": {4, 0}, "bytes": {3, 5001}} {
		if _, err := readBoot(content.Bytes(volume(c.files, c.size)), 3, 15000); !errors.Is(err, errBoot) {
			t.Errorf("too many %s: %v", name, err)
		}
	}
}

// FuzzReadBoot: no volume takes more than it may.
func FuzzReadBoot(f *testing.F) {
	f.Add(volume(3, 5000)[:200*512])
	f.Add(volume(20, 0)[:200*512])
	f.Fuzz(func(t *testing.T, b []byte) {
		const count, size = 10, 20000
		files, err := readBoot(content.Bytes(b), count, size)
		total := 0
		for _, text := range files {
			total += len(text)
		}
		if err == nil && len(files) > count || total > size {
			t.Errorf("%d files, %d bytes", len(files), total)
		}
	})
}
