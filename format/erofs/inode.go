package erofs

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Layout says how an inode's data is stored.
type Layout uint8

// The data layouts of erofs_fs.h.
const (
	LayoutPlain      Layout = 0
	LayoutCompressed Layout = 1 // full (8-byte) cluster indexes
	LayoutInline     Layout = 2
	LayoutCompact    Layout = 3 // compact (2 or 4-byte) cluster indexes
	LayoutChunked    Layout = 4
)

func (l Layout) String() string {
	switch l {
	case LayoutPlain:
		return "plain"
	case LayoutCompressed:
		return "compressed-full"
	case LayoutInline:
		return "inline"
	case LayoutCompact:
		return "compressed-compact"
	case LayoutChunked:
		return "chunked"
	}
	return fmt.Sprintf("layout-%d", uint8(l))
}

// Types of files, the upper four bits of a mode.
const (
	typeMask    = 0xf000
	typeFifo    = 0x1000
	typeChar    = 0x2000
	typeDir     = 0x4000
	typeBlock   = 0x6000
	typeRegular = 0x8000
	typeSymlink = 0xa000
	typeSocket  = 0xc000
)

// Inode is a file, directory, link or device of an image.
type Inode struct {
	img *Image

	NID       uint64
	Ino       uint32 // the number that stat shows
	Extended  bool   // 64 bytes with its own time, not 32
	Layout    Layout
	Mode      uint32 // type and permissions as in stat
	UID, GID  uint32
	Links     uint32
	Size      int64
	Mtime     int64 // seconds; a compact inode has the superblock's
	MtimeNsec uint32

	offset    int64  // of the inode in the image
	headSize  int64  // of the inode itself
	xattrSize int64  // of the attributes that follow it
	start     uint32 // first block, device number or chunk format
	clusters  clusterMap
}

// Type bits as Linux has them: the four upper bits of Mode.
func (i *Inode) fileType() uint32 { return i.Mode & typeMask }

// IsRegular reports whether the inode is a regular file.
func (i *Inode) IsRegular() bool { return i.fileType() == typeRegular }

// IsDir reports whether the inode is a directory.
func (i *Inode) IsDir() bool { return i.fileType() == typeDir }

// IsSymlink reports whether the inode is a symbolic link.
func (i *Inode) IsSymlink() bool { return i.fileType() == typeSymlink }

// IsDevice reports whether the inode is a character or block device.
func (i *Inode) IsDevice() bool { return i.fileType() == typeChar || i.fileType() == typeBlock }

// TypeName is one word for the inode's type.
func (i *Inode) TypeName() string {
	switch i.fileType() {
	case typeFifo:
		return "fifo"
	case typeChar:
		return "char"
	case typeDir:
		return "dir"
	case typeBlock:
		return "block"
	case typeRegular:
		return "file"
	case typeSymlink:
		return "link"
	case typeSocket:
		return "socket"
	}
	return "unknown"
}

// Device is the device number of a character or block device.
func (i *Inode) Device() (major, minor uint32) {
	return i.start >> 8 & 0xfff, i.start&0xff | i.start>>12&0xfff00
}

// Inode reads the inode with the given number.
func (img *Image) Inode(nid uint64) (*Inode, error) {
	inode, err := img.readInode(nid)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", nid, err)
	}
	return inode, nil
}

func (img *Image) readInode(nid uint64) (*Inode, error) {
	if nid > uint64(img.size)/32 {
		return nil, fmt.Errorf("%w: no such inode", ErrCorrupt)
	}
	offset := int64(img.super.MetaBlock)<<img.super.BlockBits + int64(nid)*32
	var b [64]byte
	if err := img.readMeta(b[:32], offset); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	format := le.Uint16(b[0:])
	if format>>4 != 0 {
		return nil, fmt.Errorf("%w: inode format %#x", ErrUnsupported, format)
	}
	i := &Inode{
		img: img, NID: nid, offset: offset,
		Extended: format&1 != 0,
		Layout:   Layout(format >> 1 & 7),
		Mode:     uint32(le.Uint16(b[4:])),
		start:    le.Uint32(b[16:]),
		Ino:      le.Uint32(b[20:]),
		headSize: 32,
	}
	if count := le.Uint16(b[2:]); count > 0 {
		i.xattrSize = 12 + 4*(int64(count)-1)
	}
	if i.Layout > LayoutChunked {
		return nil, fmt.Errorf("%w: data layout %d", ErrCorrupt, i.Layout)
	}
	if !i.Extended {
		i.Links = uint32(le.Uint16(b[6:]))
		i.Size = int64(le.Uint32(b[8:]))
		i.UID, i.GID = uint32(le.Uint16(b[24:])), uint32(le.Uint16(b[26:]))
		i.Mtime, i.MtimeNsec = int64(img.super.Epoch), img.super.EpochNsec
		return i, nil
	}
	if err := img.readMeta(b[:], offset); err != nil {
		return nil, err
	}
	i.headSize = 64
	i.Size = int64(le.Uint64(b[8:]))
	i.UID, i.GID = le.Uint32(b[24:]), le.Uint32(b[28:])
	i.Mtime, i.MtimeNsec = int64(le.Uint64(b[32:])), le.Uint32(b[40:])
	i.Links = le.Uint32(b[44:])
	if i.Size < 0 || i.Size > 1<<50 {
		return nil, fmt.Errorf("%w: size %d", ErrCorrupt, uint64(i.Size))
	}
	return i, nil
}

// Readlink is the target of a symbolic link.
func (i *Inode) Readlink() (string, error) {
	if !i.IsSymlink() {
		return "", fmt.Errorf("inode %d is not a symbolic link", i.NID)
	}
	if i.Size > maxSymlinkSize {
		return "", fmt.Errorf("inode %d: %w: link of %d bytes", i.NID, ErrCorrupt, i.Size)
	}
	b := make([]byte, i.Size)
	if _, err := io.ReadFull(io.NewSectionReader(i, 0, i.Size), b); err != nil {
		return "", err
	}
	return string(b), nil
}

// tail is the offset of what follows inode and attributes.
func (i *Inode) tail() int64 { return i.offset + i.headSize + i.xattrSize }

// Image is the image that the inode belongs to.
func (i *Inode) Image() *Image { return i.img }
