package component

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/gpt"
)

const shownHex = 24 // bytes of a field that are shown

// ShowField shows the bytes of a field.
func ShowField(s Show, b []byte) string {
	var wide [8]byte
	copy(wide[:], b)
	n := binary.LittleEndian.Uint64(wide[:])
	switch {
	case s == ShowNumber && len(b) <= 8:
		return fmt.Sprint(n)
	case s == ShowTime && len(b) <= 8 && n <= 253402300799:
		return time.Unix(int64(n), 0).UTC().Format(time.RFC3339)
	case s == ShowGUID && len(b) == 16:
		return mixedGUID(b)
	case s == ShowUUID && len(b) == 16:
		return gpt.GUID(b).String()
	}
	if len(b) > shownHex {
		return hex.EncodeToString(b[:shownHex]) + "…"
	}
	return hex.EncodeToString(b)
}

// mixedGUID is the text form of a GUID as a partition table stores it: the
// first three groups little-endian.
func mixedGUID(b []byte) string {
	g := gpt.GUID(b)
	g[0], g[1], g[2], g[3] = b[3], b[2], b[1], b[0]
	g[4], g[5], g[6], g[7] = b[5], b[4], b[7], b[6]
	return g.String()
}

// AttrClass is the class of a difference in the attribute with the given key,
// if the attribute itself says nothing else.
func AttrClass(key string) cause.Class {
	switch key {
	case "mode", "uid", "gid", "attributes":
		return cause.Permission
	case "mtime", "created", "accessed":
		return cause.Timestamp
	case "links", "start", "size":
		return cause.Derived
	case "partition uuid":
		return cause.UUID
	case "extended attributes":
		return cause.Attribute
	}
	if len(key) > 6 && key[:6] == "xattr " {
		return xattrClass(key[6:])
	}
	return cause.Content
}

// FieldAttrs shows the fields of a structure as attributes.
func (n *Node) FieldAttrs() ([]Attr, error) {
	if n.Content == nil {
		return nil, nil
	}
	var attrs []Attr
	for _, f := range n.Fields {
		if f.Offset < 0 || f.End() > n.Content.Size() {
			continue
		}
		b := make([]byte, f.Length)
		if err := content.ReadFull(n.Content, b, f.Offset); err != nil {
			return nil, err
		}
		attrs = append(attrs, Attr{f.Name, ShowField(f.Show, b), f.Class})
	}
	return attrs, nil
}
