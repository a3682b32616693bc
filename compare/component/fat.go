package component

import (
	"fmt"
	"path"
	"sort"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/vfat"
)

func detectFAT(b []byte) bool {
	return at(510, "\x55\xaa")(b) && (b[0] == 0xeb || b[0] == 0xe9) &&
		(at(54, "FAT1")(b) || at(82, "FAT32")(b))
}

func openFAT(c content.Content) (*Expansion, error) {
	v, err := vfat.Open(c, c.Size())
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "vfat", Partial: true}
	e.Children = []*Node{fatBoot(c, v), fatNode(v.Root(), "/")}
	e.Layout = func(yield func(LayoutItem) bool) error {
		_, err := fatLayout(v.Root(), "/", yield)
		return err
	}
	return e, nil
}

func fatBoot(c content.Content, v *vfat.Volume) *Node {
	n := part(Structure, "boot sector", c, 0, 512)
	serial := int64(39)
	if v.Boot().Bits == 32 {
		serial = 67
	}
	n.Fields = []Field{
		field(3, 8, "OEM name", cause.Content, ShowHex),
		field(11, 25, "geometry", cause.Layout, ShowHex),
		field(serial, 4, "volume id", cause.UUID, ShowHex),
		field(serial+4, 11, "label", cause.Content, ShowHex),
	}
	return n
}

func fatNode(f *vfat.File, name string) *Node {
	n := &Node{Kind: File, Name: name}
	n.Attrs = []Attr{
		{"attributes", fmt.Sprintf("%#02x", f.Attr), cause.Permission},
		{"mtime", f.Modified.String(), cause.Timestamp},
		{"created", f.Created.String(), cause.Timestamp},
		{"accessed", f.Accessed.String(), cause.Timestamp},
		{"short name", f.ShortName, cause.Content},
	}
	switch {
	case f.IsLabel():
		n.Kind = Structure
	case f.IsDir():
		n.Kind = Dir
		n.children = func() (*Expansion, error) { return fatDir(f) }
	default:
		r, err := f.Open()
		if err != nil {
			n.Attrs = append(n.Attrs, Attr{"content", "unreadable: " + err.Error(), cause.Content})
			break
		}
		n.Content = content.Of(r, f.Size)
	}
	return n
}

func fatDir(f *vfat.File) (*Expansion, error) {
	list, err := f.ReadDir()
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "directory", Ordered: true}
	for _, c := range list {
		e.Children = append(e.Children, fatNode(c, c.Name))
	}
	uniqueNames(e.Children)
	return e, nil
}

func fatLayout(f *vfat.File, name string, yield func(LayoutItem) bool) (bool, error) {
	runs, err := f.Runs()
	if err != nil {
		return false, err
	}
	place := "none"
	if len(runs) > 0 {
		place = fmt.Sprint(runs[0].Offset)
	}
	item := LayoutItem{Path: name, Attrs: []Attr{
		{"pieces", fmt.Sprint(len(runs)), cause.Layout},
		{"place of the data", place, cause.Order},
	}}
	if !yield(item) {
		return false, nil
	}
	if !f.IsDir() {
		return true, nil
	}
	list, err := f.ReadDir()
	if err != nil {
		return false, err
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	for _, c := range list {
		if c.IsLabel() {
			continue
		}
		if more, err := fatLayout(c, path.Join(name, c.Name), yield); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}
