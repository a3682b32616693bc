package component

import (
	"fmt"
	"sort"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/pe"
)

// Sections of a unified kernel image that belong to one organisation.
var signedSections = map[string]cause.Class{
	".pcrsig":  cause.Signature,
	".pcrpkey": cause.Certificate,
}

// openPE lists headers, sections and the certificate table of an EFI program
// or unified kernel image. Padding of a section is a part of its own.
func openPE(c content.Content) (*Expansion, error) {
	f, err := pe.Open(c, c.Size())
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "pe"}
	for _, s := range f.Sections {
		if s.Size == 0 {
			continue
		}
		data := s.Data()
		n := part(Section, s.Name, c, data.Offset, data.Size)
		if class, ok := signedSections[s.Name]; ok {
			n.Signed, n.Class = true, class
		}
		e.Children = append(e.Children, n)
	}
	if p := f.Certificates; p.Size > 0 {
		n := part(Structure, "certificate table", c, p.Offset, p.Size)
		n.Signed, n.Class = true, cause.Signature
		e.Children = append(e.Children, n)
	}
	uniqueNames(e.Children)
	head := part(Structure, "PE header", c, f.Header.Offset, f.Header.Size)
	head.Fields = peFields(f)
	table := part(Structure, "section table", c, f.Table.Offset, f.Table.Size)
	table.Class = cause.Derived
	e.Children = append(e.Children, head, table, part(Structure, "DOS stub", c, f.Stub.Offset, f.Stub.Size))
	used := []content.Range{
		{Offset: f.Stub.Offset, Length: f.Stub.Size}, {Offset: f.Header.Offset, Length: f.Header.Size},
		{Offset: f.Table.Offset, Length: f.Table.Size}, {Offset: f.Certificates.Offset, Length: f.Certificates.Size},
	}
	for _, s := range f.Sections {
		used = append(used, content.Range{Offset: s.Data().Offset, Length: s.Data().Size})
	}
	e.Children = append(e.Children, gaps(c, used)...)
	return e, nil
}

func peFields(f *pe.File) []Field {
	fields := []Field{
		field(6, 2, "number of sections", cause.Derived, ShowNumber),
		field(8, 4, "timestamp", cause.Timestamp, ShowTime),
		field(24+2, 2, "linker version", cause.Content, ShowHex),
		field(24+4, 20, "sizes of code and data", cause.Derived, ShowHex),
		field(24+44, 4, "image version", cause.Content, ShowHex),
		field(24+56, 8, "sizes of image and headers", cause.Derived, ShowHex),
		field(24+64, 4, "checksum", cause.Derived, ShowHex),
	}
	if f.Directory.Size > 0 {
		fields = append(fields, field(f.Directory.Offset-f.Header.Offset, f.Directory.Size, "place of the certificates", cause.Derived, ShowHex))
	}
	return fields
}

// gaps are the parts of c that no range covers.
func gaps(c content.Content, used []content.Range) []*Node {
	sort.Slice(used, func(i, j int) bool { return used[i].Offset < used[j].Offset })
	var list []*Node
	off := int64(0)
	for _, r := range append(used, content.Range{Offset: c.Size()}) {
		if r.Offset > off {
			list = append(list, part(Gap, fmt.Sprintf("padding from %d", off), c, off, r.Offset-off))
		}
		off = max(off, r.End())
	}
	numberGaps(list)
	return list
}

// numberGaps names gaps by their order, so that those of two files of other
// sizes still meet.
func numberGaps(list []*Node) {
	for n, g := range list {
		g.Name = fmt.Sprintf("padding %d", n+1)
	}
}
