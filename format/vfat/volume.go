package vfat

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Volume is an opened file system. It may be used by several goroutines.
type Volume struct {
	data io.ReaderAt
	size int64

	boot        Boot
	fatOffset   int64
	fatBytes    int64
	rootOffset  int64 // FAT12 and FAT16: the fixed root directory
	rootBytes   int64
	dataOffset  int64
	clusterSize int64
	clusters    uint32 // data clusters; numbers run from 2 to clusters+1
}

// Boot is what the boot sector says.
type Boot struct {
	OEM            string // 8 bytes, unescaped
	SectorSize     int64
	ClusterSectors int64
	Reserved       int64 // sectors
	FATs           int64
	RootEntries    int64
	Sectors        int64
	FATSectors     int64
	Hidden         uint32
	RootCluster    uint32
	Serial         uint32 // the volume id
	Label          string // 11 bytes, unescaped
	Bits           int    // 12, 16 or 32
}

// Open reads the boot sector of the file system of size bytes in r.
func Open(r io.ReaderAt, size int64) (*Volume, error) {
	v := &Volume{data: r, size: size}
	if err := v.readBoot(); err != nil {
		return nil, fmt.Errorf("open FAT file system: %w", err)
	}
	return v, nil
}

// Boot is the boot sector.
func (v *Volume) Boot() Boot { return v.boot }

// Layout gives the offsets of the first FAT, of the data, and the end.
func (v *Volume) Layout() (fat, data, end int64) {
	return v.fatOffset, v.dataOffset, v.dataOffset + int64(v.clusters)*v.clusterSize
}

func (v *Volume) readBoot() error {
	var b [512]byte
	if v.size < int64(len(b)) {
		return ErrNotFAT
	}
	if _, err := v.data.ReadAt(b[:], 0); err != nil {
		return err
	}
	le := binary.LittleEndian
	if b[510] != 0x55 || b[511] != 0xaa || b[0] != 0xeb && b[0] != 0xe9 {
		return ErrNotFAT
	}
	s := &v.boot
	s.OEM = string(b[3:11])
	s.SectorSize = int64(le.Uint16(b[11:]))
	s.ClusterSectors = int64(b[13])
	s.Reserved = int64(le.Uint16(b[14:]))
	s.FATs = int64(b[16])
	s.RootEntries = int64(le.Uint16(b[17:]))
	s.Sectors = int64(le.Uint16(b[19:]))
	s.FATSectors = int64(le.Uint16(b[22:]))
	s.Hidden = le.Uint32(b[28:])
	if s.Sectors == 0 {
		s.Sectors = int64(le.Uint32(b[32:]))
	}
	extended := b[36:]
	if s.FATSectors == 0 {
		s.FATSectors = int64(le.Uint32(b[36:]))
		s.RootCluster = le.Uint32(b[44:])
		extended = b[64:]
	}
	s.Serial = le.Uint32(extended[3:])
	s.Label = string(extended[7:18])
	return v.layOut()
}

// layOut derives where everything lies. The number of clusters decides the
// width of the FAT, as the specification has it; mkfs.vfat -F32 makes small
// FAT32 volumes nevertheless, told by the absent fixed root directory.
func (v *Volume) layOut() error {
	s := &v.boot
	power := func(n int64) bool { return n > 0 && n&(n-1) == 0 }
	if !power(s.SectorSize) || s.SectorSize < 512 || s.SectorSize > 4096 ||
		!power(s.ClusterSectors) || s.Reserved == 0 || s.FATs == 0 || s.FATs > 4 || s.FATSectors == 0 {
		return ErrNotFAT
	}
	v.clusterSize = s.ClusterSectors * s.SectorSize
	v.fatOffset = s.Reserved * s.SectorSize
	v.fatBytes = s.FATSectors * s.SectorSize
	v.rootOffset = v.fatOffset + s.FATs*v.fatBytes
	v.rootBytes = s.RootEntries * dirEntrySize
	v.dataOffset = v.rootOffset + (v.rootBytes+s.SectorSize-1)&^(s.SectorSize-1)
	total := s.Sectors * s.SectorSize
	if total > v.size || v.dataOffset >= total {
		return fmt.Errorf("%w: %d bytes claimed in %d", ErrCorrupt, total, v.size)
	}
	count := (total - v.dataOffset) / v.clusterSize
	if count == 0 || count > maxClusters {
		return fmt.Errorf("%w: %d clusters", ErrCorrupt, count)
	}
	v.clusters = uint32(count)
	switch {
	case s.RootEntries == 0:
		s.Bits = 32
	case count < 4085:
		s.Bits = 12
	default:
		s.Bits = 16
	}
	if (count+2)*int64(s.Bits) > v.fatBytes*8 {
		return fmt.Errorf("%w: FAT of %d bytes for %d clusters", ErrCorrupt, v.fatBytes, count)
	}
	return nil
}

// next is the cluster after c; end reports that c is the chain's last.
func (v *Volume) next(c uint32) (next uint32, end bool, err error) {
	var b [4]byte
	width := int64(v.boot.Bits)
	pos := int64(c) * width / 8
	if _, err := v.data.ReadAt(b[:min(4, v.fatBytes-pos)], v.fatOffset+pos); err != nil {
		return 0, false, fmt.Errorf("read FAT: %w", err)
	}
	n := binary.LittleEndian.Uint32(b[:])
	switch width {
	case 12:
		n = n >> (c & 1 * 4) & 0xfff
		end = n >= 0xff8
	case 16:
		n &= 0xffff
		end = n >= 0xfff8
	default:
		n &= 0x0fffffff
		end = n >= 0x0ffffff8
	}
	if !end && !v.valid(n) {
		return 0, false, fmt.Errorf("%w: cluster %d is followed by %d", ErrCorrupt, c, n)
	}
	return n, end, nil
}

func (v *Volume) valid(c uint32) bool { return c >= 2 && c-2 < v.clusters }

// Run is a piece of a file that lies in one piece in the volume.
type Run struct {
	Offset int64 // in the volume
	Length int64
}

// runs follows the chain from cluster first until it ends, or until size bytes
// are found if size is not negative. Neighbours are joined.
func (v *Volume) runs(first uint32, size int64) ([]Run, error) {
	if first == 0 && size <= 0 {
		return nil, nil
	}
	if !v.valid(first) {
		return nil, fmt.Errorf("%w: chain starts at cluster %d", ErrCorrupt, first)
	}
	var list []Run
	var total int64
	for c, n := first, uint32(0); ; n++ {
		if n >= v.clusters {
			return nil, fmt.Errorf("%w: the chain from cluster %d loops", ErrCorrupt, first)
		}
		at := v.dataOffset + int64(c-2)*v.clusterSize
		if k := len(list) - 1; k >= 0 && list[k].Offset+list[k].Length == at {
			list[k].Length += v.clusterSize
		} else {
			list = append(list, Run{at, v.clusterSize})
		}
		if total += v.clusterSize; size >= 0 && total >= size {
			break
		}
		next, end, err := v.next(c)
		if err != nil {
			return nil, err
		}
		if end {
			break
		}
		c = next
	}
	if size >= 0 && total < size {
		return nil, fmt.Errorf("%w: chain of %d bytes for a file of %d", ErrCorrupt, total, size)
	}
	return list, nil
}
