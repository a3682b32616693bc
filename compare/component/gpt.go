package component

import (
	"fmt"
	"sort"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/gpt"
)

func detectGPT(b []byte) bool {
	return at(512, "EFI PART")(b) || at(4096, "EFI PART")(b)
}

var partitionNames = map[gpt.GUID]string{
	gpt.TypeESP:           "esp",
	gpt.TypeRoot:          "root",
	gpt.TypeRootVerity:    "root-verity",
	gpt.TypeRootVeritySig: "root-verity-sig",
	gpt.TypeUsr:           "usr",
	gpt.TypeUsrVerity:     "usr-verity",
	gpt.TypeUsrVeritySig:  "usr-verity-sig",
	gpt.TypeSwap:          "swap",
	gpt.TypeTmp:           "tmp",
	gpt.TypeVar:           "var",
}

// openGPT lists the partitions by what they are for, the tables as fields, and
// whatever lies between.
func openGPT(c content.Content) (*Expansion, error) {
	table, err := gpt.Read(c, c.Size())
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "gpt"}
	parts := append([]gpt.Partition{}, table.Partitions...)
	sort.SliceStable(parts, func(i, j int) bool { return parts[i].Start < parts[j].Start })
	for _, p := range parts {
		e.Children = append(e.Children, partition(c, p))
	}
	if err := markDerived(c, parts, e.Children); err != nil {
		return nil, err
	}
	uniqueNames(e.Children)
	front, back := tableSize(table)
	e.Children = append(e.Children,
		tableNode("partition table", c, 0, front, table.SectorSize, table.SectorSize, 2*table.SectorSize),
		tableNode("partition table copy", c, c.Size()-back, back, table.SectorSize, back-table.SectorSize, 0))
	off := front
	for _, p := range append(parts, gpt.Partition{Start: c.Size() - back}) {
		if p.Start > off {
			e.Children = append(e.Children, part(Gap, fmt.Sprintf("unallocated from %d", off), c, off, p.Start-off))
		}
		off = max(off, p.Start+p.Size)
	}
	return e, nil
}

func partition(c content.Content, p gpt.Partition) *Node {
	name := partitionNames[p.Type]
	if name == "" {
		name = "partition " + p.Type.String()
	}
	n := part(Partition, name, c, p.Start, p.Size)
	n.Attrs = []Attr{
		{"label", p.Label, cause.Content},
		{"partition uuid", p.ID.String(), cause.UUID},
		{"flags", fmt.Sprintf("%#x", p.Attributes), cause.Content},
		{"start", fmt.Sprint(p.Start), cause.Derived},
		{"size", fmt.Sprint(p.Size), cause.Derived},
	}
	if p.Type == gpt.TypeRootVeritySig || p.Type == gpt.TypeUsrVeritySig {
		n.Signed, n.Class = true, cause.Signature
	}
	return n
}

// tableSize is how many bytes the tables at the two ends take: protective
// MBR, header and 16 KiB of entries; entries and header.
func tableSize(t *gpt.Table) (front, back int64) {
	entries := max(16384, t.SectorSize)
	return 2*t.SectorSize + entries, t.SectorSize + entries
}

// tableNode is one copy of the table. The entries are attributes of the
// partitions already, so a difference in their bytes follows from those.
func tableNode(name string, c content.Content, off, size, sector, header, entries int64) *Node {
	n := part(Structure, name, c, off, size)
	names := func(off, length int64, name string, class cause.Class, show Show) {
		n.Fields = append(n.Fields, field(off, length, name, class, show))
	}
	if off == 0 {
		names(440, 4, "MBR disk signature", cause.UUID, ShowHex)
		names(446, 64, "protective MBR entries", cause.Derived, ShowHex)
	}
	names(header+16, 4, "header checksum", cause.Derived, ShowHex)
	names(header+24, 32, "first and last sectors", cause.Derived, ShowHex)
	names(header+56, 16, "disk GUID", cause.UUID, ShowGUID)
	names(header+72, 8, "place of the entries", cause.Derived, ShowNumber)
	names(header+88, 4, "checksum of the entries", cause.Derived, ShowHex)
	names(entries, max(16384, sector), "partition entries", cause.Derived, ShowHex)
	return n
}
