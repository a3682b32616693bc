package component

import (
	stdtar "archive/tar"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/ar"
	"github.com/mastercard/mangos/format/tar"
)

// openAr lists the members of an ar archive: a Debian package, a static library.
func openAr(c content.Content) (*Expansion, error) {
	list, err := ar.Read(c, c.Size())
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "ar", Ordered: true, Partial: true}
	for _, m := range list {
		n := part(Member, m.Name, c, m.Offset, m.Size)
		n.Attrs = []Attr{
			{"mode", fmt.Sprintf("%o", m.Mode), cause.Permission},
			{"uid", fmt.Sprint(m.UID), cause.Permission},
			{"gid", fmt.Sprint(m.GID), cause.Permission},
			{"mtime", stamp(m.Time, 0), cause.Timestamp},
		}
		if m.Table {
			n.Kind, n.Class = Structure, cause.Derived // from the members and their names
		}
		e.Children = append(e.Children, n)
	}
	uniqueNames(e.Children)
	e.Layout = places(e.Children, func(n int) int64 { return list[n].Offset })
	return e, nil
}

// openTar lists the members of a tar archive. They have no place in the tree that the
// archive lies in, so no package of that owns them.
func openTar(c content.Content) (*Expansion, error) {
	r := tar.NewReader(c, c.Size())
	e := &Expansion{Format: "tar", Ordered: true, Partial: true}
	var offsets []int64
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		n := &Node{Kind: Member, Name: m.Name, Attrs: tarAttrs(m)}
		if tarTypes[m.Typeflag] == "" {
			n.Content = content.Section(c, m.Offset, m.Size)
		}
		e.Children = append(e.Children, n)
		offsets = append(offsets, m.Offset)
	}
	uniqueNames(e.Children)
	e.Layout = places(e.Children, func(n int) int64 { return offsets[n] })
	return e, nil
}

// places is the layout of an archive: where the contents of its members begin.
func places(members []*Node, offset func(n int) int64) func(func(LayoutItem) bool) error {
	return func(yield func(LayoutItem) bool) error {
		for n, m := range members {
			if !yield(LayoutItem{Path: m.Name, Attrs: []Attr{{"place", fmt.Sprint(offset(n)), cause.Layout}}}) {
				return nil
			}
		}
		return nil
	}
}

// tarTypes are the members without a content. Any other is a file.
var tarTypes = map[byte]string{
	stdtar.TypeLink: "hard link", stdtar.TypeSymlink: "link", stdtar.TypeChar: "character device", stdtar.TypeBlock: "block device",
	stdtar.TypeDir: "dir", stdtar.TypeFifo: "fifo", stdtar.TypeXGlobalHeader: "header for what follows",
}

const paxAttribute = "SCHILY.xattr."

func tarAttrs(m *tar.Member) []Attr {
	kind := tarTypes[m.Typeflag]
	if kind == "" {
		kind = "file"
	}
	attrs := []Attr{
		{"type", kind, cause.Content},
		{"mode", fmt.Sprintf("%04o", m.Mode&0o7777), cause.Permission},
		{"uid", fmt.Sprint(m.Uid), cause.Permission},
		{"gid", fmt.Sprint(m.Gid), cause.Permission},
		{"owner", m.Uname, cause.Permission},
		{"group", m.Gname, cause.Permission},
		{"mtime", stamp(m.ModTime.Unix(), int64(m.ModTime.Nanosecond())), cause.Timestamp},
	}
	if m.Linkname != "" {
		attrs = append(attrs, Attr{"target", m.Linkname, cause.Content})
	}
	if m.Typeflag == stdtar.TypeChar || m.Typeflag == stdtar.TypeBlock {
		attrs = append(attrs, Attr{"device", fmt.Sprintf("%d:%d", m.Devmajor, m.Devminor), cause.Content})
	}
	var names []string
	for key := range m.PAXRecords {
		if strings.HasPrefix(key, paxAttribute) {
			names = append(names, key[len(paxAttribute):])
		}
	}
	slices.Sort(names)
	for _, name := range names {
		attrs = append(attrs, Attr{"xattr " + name, printable([]byte(m.PAXRecords[paxAttribute+name])), xattrClass(name)})
	}
	return attrs
}
