package erofs

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// Encoding says how the bytes of an extent are stored.
type Encoding uint8

// The encodings of an extent. The values of the compressed ones are those of
// erofs_fs.h.
const (
	LZ4     Encoding = 0
	LZMA    Encoding = 1
	Deflate Encoding = 2
	Zstd    Encoding = 3

	Raw        Encoding = 16 // stored as they are
	Interlaced Encoding = 17 // stored as they are, rotated within the block
	Hole       Encoding = 18 // zeros, not stored
	Fragment   Encoding = 19 // stored in the image's packed inode
)

var encodingNames = map[Encoding]string{
	LZ4: "lz4", LZMA: "lzma", Deflate: "deflate", Zstd: "zstd",
	Raw: "raw", Interlaced: "interlaced", Hole: "hole", Fragment: "fragment",
}

func (e Encoding) String() string {
	if s, ok := encodingNames[e]; ok {
		return s
	}
	return fmt.Sprintf("encoding-%d", uint8(e))
}

// Compressed reports whether the bytes must be decompressed.
func (e Encoding) Compressed() bool { return e <= Zstd }

// Extent is a run of a file's bytes that is stored, and read, as one piece.
type Extent struct {
	Logical  int64 // offset in the file
	Length   int64 // bytes of the file
	Encoding Encoding
	Physical int64 // offset in the image, in the packed inode for a fragment
	Stored   int64 // bytes in the image; 0 for holes and fragments
	// Partial marks a shared cluster that holds more than this extent uses.
	Partial bool
}

// ExtentAt is the extent that holds the byte at off, 0 <= off < Size.
func (i *Inode) ExtentAt(off int64) (Extent, error) {
	if off < 0 || off >= i.Size {
		return Extent{}, fmt.Errorf("inode %d: offset %d of %d", i.NID, off, i.Size)
	}
	var x Extent
	var err error
	switch i.Layout {
	case LayoutPlain:
		x = Extent{Length: i.Size, Encoding: Raw, Physical: i.firstBlock(), Stored: i.Size}
	case LayoutInline:
		x = i.inlineExtent(off)
	case LayoutChunked:
		x, err = i.chunkExtent(off)
	default:
		x, err = i.clusterExtent(off)
	}
	if err == nil && (x.Length <= 0 || off < x.Logical || off-x.Logical >= x.Length) {
		err = fmt.Errorf("%w: extent from %d, %d bytes, for offset %d", ErrCorrupt, x.Logical, x.Length, off)
	}
	if err != nil {
		return Extent{}, fmt.Errorf("inode %d: %w", i.NID, err)
	}
	return x, nil
}

// Extents goes through the file from its start. It ends after an error.
func (i *Inode) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for off := int64(0); off < i.Size; {
			x, err := i.ExtentAt(off)
			if err == nil && x.Logical != off {
				err = fmt.Errorf("inode %d: %w: extents overlap at %d", i.NID, ErrCorrupt, off)
			}
			if !yield(x, err) || err != nil {
				return
			}
			off += x.Length
		}
	}
}

func (i *Inode) firstBlock() int64 { return int64(i.start) << i.img.super.BlockBits }

// inlineExtent: whole blocks as in the plain layout, the rest after the inode.
func (i *Inode) inlineExtent(off int64) Extent {
	blocks := i.Size &^ (i.img.super.BlockSize() - 1)
	if off < blocks {
		return Extent{Length: blocks, Encoding: Raw, Physical: i.firstBlock(), Stored: blocks}
	}
	rest := i.Size - blocks
	return Extent{Logical: blocks, Length: rest, Encoding: Raw, Physical: i.tail(), Stored: rest}
}

const (
	chunkBitsMask = 0x1f
	chunkIndexes  = 0x20
	noBlock       = 0xffffffff
)

// chunkExtent looks the chunk up in the block map or the chunk indexes.
func (i *Inode) chunkExtent(off int64) (Extent, error) {
	format := i.start & 0xffff
	if format&^(chunkBitsMask|chunkIndexes) != 0 {
		return Extent{}, fmt.Errorf("%w: chunk format %#x", ErrUnsupported, format)
	}
	bits := uint(i.img.super.BlockBits) + uint(format&chunkBitsMask)
	chunk := off >> bits
	unit := int64(4)
	if format&chunkIndexes != 0 {
		unit = 8
	}
	var b [8]byte
	at := (i.tail()+unit-1)&^(unit-1) + chunk*unit
	if err := i.img.readMeta(b[:unit], at); err != nil {
		return Extent{}, err
	}
	block := binary.LittleEndian.Uint32(b[unit-4:])
	if unit == 8 && binary.LittleEndian.Uint16(b[2:]) != 0 {
		return Extent{}, fmt.Errorf("%w: chunk on another device", ErrUnsupported)
	}
	x := Extent{Logical: chunk << bits, Encoding: Raw, Physical: int64(block) << i.img.super.BlockBits}
	x.Length = min(int64(1)<<bits, i.Size-x.Logical)
	x.Stored = x.Length
	if block == noBlock {
		x.Encoding, x.Physical, x.Stored = Hole, 0, 0
	}
	return x, nil
}
