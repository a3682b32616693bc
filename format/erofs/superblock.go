package erofs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	superOffset = 1024
	superSize   = 128
	superMagic  = 0xe0f5e1e2
)

// Incompatible features (feature_incompat).
const (
	featZeroPadding   = 1 << 0
	featBigCluster    = 1 << 1
	featChunked       = 1 << 2
	featDevices       = 1 << 3
	featTailPacking   = 1 << 4
	featFragments     = 1 << 5 // deduplication has the same bit
	featXattrPrefixes = 1 << 6

	knownFeatures = featZeroPadding | featBigCluster | featChunked | featDevices |
		featTailPacking | featFragments | featXattrPrefixes
)

// Compatible features (feature_compat).
const featChecksum = 1 << 0

// Superblock is what the superblock says, in the words of erofs_fs.h.
type Superblock struct {
	Checksum       uint32 // CRC-32C of the first block, 0 if the image has none
	Compatible     uint32 // feature_compat
	Incompatible   uint32 // feature_incompat
	BlockBits      uint8
	RootNID        uint64
	Inodes         uint64
	Epoch          uint64 // seconds: the time of compact inodes
	EpochNsec      uint32
	Blocks         uint64
	MetaBlock      uint32
	XattrBlock     uint32
	UUID           [16]byte
	Volume         [16]byte
	Algorithms     uint16 // available_compr_algs, or the lz4 distance of old images
	ExtraDevices   uint16
	DirBlockBits   uint8
	prefixCount    uint8
	prefixStart    uint32
	PackedNID      uint64
	extensionSlots uint8
}

// BlockSize is the size of a block in bytes.
func (s *Superblock) BlockSize() int64 { return 1 << s.BlockBits }

// VolumeName is the label without its padding, unescaped.
func (s *Superblock) VolumeName() string { return cString(s.Volume[:]) }

func (s *Superblock) has(feature uint32) bool { return s.Incompatible&feature != 0 }

// readSuperblock reads and checks the superblock of an image of size bytes.
func readSuperblock(r io.ReaderAt, size int64) (*Superblock, error) {
	var b [superSize]byte
	if size < superOffset+superSize {
		return nil, ErrNotErofs
	}
	if _, err := r.ReadAt(b[:], superOffset); err != nil {
		return nil, fmt.Errorf("read superblock: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint32(b[0:]) != superMagic {
		return nil, ErrNotErofs
	}
	s := &Superblock{
		Checksum:       le.Uint32(b[4:]),
		Compatible:     le.Uint32(b[8:]),
		BlockBits:      b[12],
		extensionSlots: b[13],
		RootNID:        uint64(le.Uint16(b[14:])),
		Inodes:         le.Uint64(b[16:]),
		Epoch:          le.Uint64(b[24:]),
		EpochNsec:      le.Uint32(b[32:]),
		Blocks:         uint64(le.Uint32(b[36:])),
		MetaBlock:      le.Uint32(b[40:]),
		XattrBlock:     le.Uint32(b[44:]),
		UUID:           [16]byte(b[48:64]),
		Volume:         [16]byte(b[64:80]),
		Incompatible:   le.Uint32(b[80:]),
		Algorithms:     le.Uint16(b[84:]),
		ExtraDevices:   le.Uint16(b[86:]),
		DirBlockBits:   b[90],
		prefixCount:    b[91],
		prefixStart:    le.Uint32(b[92:]),
		PackedNID:      le.Uint64(b[96:]),
	}
	return s, s.check(r, size)
}

func (s *Superblock) check(r io.ReaderAt, size int64) error {
	if unknown := s.Incompatible &^ knownFeatures; unknown != 0 {
		return fmt.Errorf("%w: incompatible feature bits %#x", ErrUnsupported, unknown)
	}
	if s.ExtraDevices != 0 {
		return fmt.Errorf("%w: data on %d extra devices", ErrUnsupported, s.ExtraDevices)
	}
	if s.BlockBits < 9 || s.BlockBits > 16 {
		return fmt.Errorf("%w: block size 2^%d", ErrCorrupt, s.BlockBits)
	}
	if s.DirBlockBits != 0 {
		return fmt.Errorf("%w: directory block size 2^%d", ErrUnsupported, s.BlockBits+s.DirBlockBits)
	}
	if s.Compatible&featChecksum == 0 {
		return nil
	}
	return s.verifyChecksum(r, size)
}

// verifyChecksum checks the CRC-32C over the first block from the superblock
// on, its own field taken as zero. The kernel's CRC is not inverted at the end.
func (s *Superblock) verifyChecksum(r io.ReaderAt, size int64) error {
	length := s.BlockSize() - superOffset
	if s.BlockSize() <= superOffset {
		length = s.BlockSize()
	}
	if superOffset+length > size {
		return fmt.Errorf("%w: the first block is cut off", ErrCorrupt)
	}
	b := make([]byte, length)
	if _, err := r.ReadAt(b, superOffset); err != nil {
		return fmt.Errorf("read first block: %w", err)
	}
	clear(b[4:8])
	if got := ^crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)); got != s.Checksum {
		return fmt.Errorf("%w: superblock checksum is %08x, should be %08x", ErrCorrupt, s.Checksum, got)
	}
	return nil
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
