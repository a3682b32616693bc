package erofs

import (
	"encoding/binary"
	"fmt"
)

// Xattr is an extended attribute with its full name.
type Xattr struct {
	Name  string
	Value []byte
}

type xattrPrefix struct {
	base  uint8
	infix string
}

var basePrefixes = map[uint8]string{
	0: "",
	1: "user.",
	2: "system.posix_acl_access",
	3: "system.posix_acl_default",
	4: "trusted.",
	5: "lustre.",
	6: "security.",
}

const xattrHeaderSize = 12

// Xattrs lists the attributes, the shared ones first, in the image's order.
func (i *Inode) Xattrs() ([]Xattr, error) {
	if i.xattrSize == 0 {
		return nil, nil
	}
	list, err := i.readXattrs()
	if err != nil {
		return nil, fmt.Errorf("inode %d: attributes: %w", i.NID, err)
	}
	return list, nil
}

func (i *Inode) readXattrs() ([]Xattr, error) {
	body := make([]byte, i.xattrSize)
	if err := i.img.readMeta(body, i.offset+i.headSize); err != nil {
		return nil, err
	}
	shared := int(body[4])
	inline := xattrHeaderSize + 4*shared
	if inline > len(body) {
		return nil, fmt.Errorf("%w: %d shared attributes", ErrCorrupt, shared)
	}
	var list []Xattr
	base := int64(i.img.super.XattrBlock) << i.img.super.BlockBits
	for n := range shared {
		id := binary.LittleEndian.Uint32(body[xattrHeaderSize+4*n:])
		x, err := i.img.sharedXattr(base + int64(id)*4)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	for rest := body[inline:]; len(rest) >= 4; {
		x, used, err := i.img.parseXattr(rest)
		if err != nil {
			return nil, err
		}
		if len(list) == maxXattrs {
			return nil, fmt.Errorf("%w: more than %d attributes", ErrCorrupt, maxXattrs)
		}
		list, rest = append(list, x), rest[min(used, len(rest)):]
	}
	return list, nil
}

func (img *Image) sharedXattr(off int64) (Xattr, error) {
	var head [4]byte
	if err := img.readMeta(head[:], off); err != nil {
		return Xattr{}, err
	}
	b := make([]byte, 4+int(head[0])+int(binary.LittleEndian.Uint16(head[2:])))
	if err := img.readMeta(b, off); err != nil {
		return Xattr{}, err
	}
	x, _, err := img.parseXattr(b)
	return x, err
}

// parseXattr reads the entry at the start of b and says how many bytes it and
// its padding take.
func (img *Image) parseXattr(b []byte) (x Xattr, used int, err error) {
	nameLen, index, valueLen := int(b[0]), b[1], int(binary.LittleEndian.Uint16(b[2:]))
	end := 4 + nameLen + valueLen
	if end > len(b) {
		return x, 0, fmt.Errorf("%w: attribute of %d bytes in %d", ErrCorrupt, end, len(b))
	}
	prefix, err := img.prefix(index)
	if err != nil {
		return x, 0, err
	}
	x.Name = prefix + string(b[4:4+nameLen])
	x.Value = append([]byte{}, b[4+nameLen:end]...)
	return x, (end + 3) &^ 3, nil
}

func (img *Image) prefix(index uint8) (string, error) {
	if index&0x80 == 0 {
		p, ok := basePrefixes[index]
		if !ok {
			return "", fmt.Errorf("%w: attribute name index %d", ErrCorrupt, index)
		}
		return p, nil
	}
	n := int(index & 0x7f)
	if n >= len(img.prefixes) {
		return "", fmt.Errorf("%w: attribute name prefix %d", ErrCorrupt, n)
	}
	p, ok := basePrefixes[img.prefixes[n].base]
	if !ok {
		return "", fmt.Errorf("%w: attribute name index %d", ErrCorrupt, img.prefixes[n].base)
	}
	return p + img.prefixes[n].infix, nil
}

// readPrefixes reads the table of long name prefixes. It lies in the packed
// inode if there is one, else in the image itself.
func (img *Image) readPrefixes() error {
	if !img.super.has(featXattrPrefixes) {
		return nil
	}
	read := img.readMeta
	if img.super.has(featFragments) && img.super.PackedNID != 0 {
		packed, err := img.fragments()
		if err != nil {
			return err
		}
		read = func(b []byte, off int64) error {
			_, err := packed.ReadAt(b, off)
			return err
		}
	}
	off := int64(img.super.prefixStart) << 2
	for n := range int(img.super.prefixCount) {
		var size [2]byte
		if err := read(size[:], off); err != nil {
			return fmt.Errorf("attribute name prefix %d: %w", n, err)
		}
		b := make([]byte, binary.LittleEndian.Uint16(size[:]))
		if len(b) < 1 {
			return fmt.Errorf("%w: attribute name prefix %d is empty", ErrCorrupt, n)
		}
		if err := read(b, off+2); err != nil {
			return fmt.Errorf("attribute name prefix %d: %w", n, err)
		}
		img.prefixes = append(img.prefixes, xattrPrefix{base: b[0], infix: string(b[1:])})
		off = (off + 2 + int64(len(b)) + 3) &^ 3
	}
	return nil
}
