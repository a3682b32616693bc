package component

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/gpt"
)

const verityBlock = 4096

// openVerity shows a dm-verity hash device: its superblock, then the tree,
// which follows from the data and the salt.
func openVerity(c content.Content) (*Expansion, error) {
	head := part(Structure, "verity superblock", c, 0, 512)
	head.Fields = []Field{
		field(16, 16, "hash tree UUID", cause.UUID, ShowUUID),
		field(72, 8, "data blocks", cause.Derived, ShowNumber),
		field(88, 256, "salt", cause.Random, ShowHex),
	}
	tree := part(Structure, "hash tree", c, 512, c.Size()-512)
	tree.Class = cause.Derived
	e := &Expansion{Format: "verity", Children: []*Node{head, tree}}
	// The build derives the UUID from the root hash.
	e.Relate = func(other *Expansion) error {
		o := other.Find("hash tree")
		if o == nil {
			return nil
		}
		same, err := content.Equal(tree.Content, o.Content)
		if err == nil && !same {
			head.Fields[0].Class = cause.Derived
		}
		return err
	}
	return e, nil
}

// RootHash computes the root hash from the top of a hash tree, hexadecimal: ""
// if the device is none of the kind that this project makes.
func RootHash(c content.Content) (string, error) {
	var b [2 * verityBlock]byte
	if c.Size() < int64(len(b)) {
		return "", nil
	}
	if err := content.ReadFull(c, b[:], 0); err != nil {
		return "", err
	}
	salt := int(binary.LittleEndian.Uint16(b[80:]))
	if !at(0, "verity\x00\x00")(b[:]) || salt > 256 {
		return "", nil
	}
	h := sha256.New()
	h.Write(b[88 : 88+salt])
	h.Write(b[verityBlock:])
	return hex.EncodeToString(h.Sum(nil)), nil
}

// markDerived finds partitions whose UUIDs are the halves of the root hash, as
// the Discoverable Partitions Specification asks: they follow from the data.
func markDerived(c content.Content, parts []gpt.Partition, nodes []*Node) error {
	for _, p := range parts {
		if p.Type != gpt.TypeRootVerity && p.Type != gpt.TypeUsrVerity {
			continue
		}
		root, err := RootHash(content.Section(c, p.Start, p.Size))
		if err != nil {
			return err
		}
		for n, q := range parts {
			id := strings.ReplaceAll(q.ID.String(), "-", "")
			if root == "" || id != root[:32] && id != root[32:] {
				continue
			}
			for k := range nodes[n].Attrs {
				if nodes[n].Attrs[k].Key == "partition uuid" {
					nodes[n].Attrs[k].Class = cause.Derived
				}
			}
		}
	}
	return nil
}
