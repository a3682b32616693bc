package component

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/format/erofs"
)

func openErofs(c content.Content) (*Expansion, error) {
	img, err := erofs.Open(c, c.Size())
	if err != nil {
		return nil, err
	}
	root, err := img.Root()
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "erofs", Partial: true}
	e.Children = []*Node{erofsSuperblock(c), erofsTree{img, c}.node(root, "/")}
	if end := img.Size(); end < c.Size() {
		e.Children = append(e.Children, part(Gap, "after the file system", c, end, c.Size()-end))
	}
	e.Layout = func(yield func(LayoutItem) bool) error {
		_, err := erofsLayout(img, root, "/", yield)
		return err
	}
	e.Owners = func() (*Owners, error) { return dpkg.Read(erofsFiles{img, root}) }
	return e, nil
}

func erofsSuperblock(c content.Content) *Node {
	n := part(Structure, "superblock", c, 1024, 128)
	n.Fields = []Field{
		field(4, 4, "checksum", cause.Derived, ShowHex),
		field(8, 4, "compatible features", cause.Derived, ShowHex),
		field(12, 1, "block size", cause.Layout, ShowHex),
		field(14, 2, "root inode", cause.Derived, ShowNumber),
		field(16, 8, "number of inodes", cause.Derived, ShowNumber),
		field(24, 8, "build time", cause.Timestamp, ShowTime),
		field(32, 4, "build time, nanoseconds", cause.Timestamp, ShowNumber),
		field(36, 4, "number of blocks", cause.Derived, ShowNumber),
		field(40, 4, "metadata block", cause.Derived, ShowNumber),
		field(44, 4, "attribute block", cause.Derived, ShowNumber),
		field(48, 16, "UUID", cause.UUID, ShowUUID),
		field(64, 16, "volume name", cause.Content, ShowHex),
		field(80, 4, "incompatible features", cause.Compression, ShowHex),
		field(84, 2, "compression algorithms", cause.Compression, ShowHex),
		field(96, 8, "packed inode", cause.Derived, ShowNumber),
	}
	return n
}

// erofsTree is an image and the bytes that it is read from.
type erofsTree struct {
	img *erofs.Image
	in  content.Content
}

func (t erofsTree) node(inode *erofs.Inode, name string) *Node {
	n := &Node{Name: name}
	switch {
	case inode.IsDir():
		n.Kind = Dir
		n.children = func() (*Expansion, error) { return t.dir(inode) }
	case inode.IsRegular():
		n.Kind = File
		n.Content = erofsFile{inode, t.in}
	case inode.IsSymlink():
		n.Kind = Link
	default:
		n.Kind = Device
	}
	n.Attrs = erofsAttrs(inode)
	return n
}

// erofsAttrs lists what stat and getfattr would show. What cannot be read is
// an attribute with the reason as its value: the other side will differ.
func erofsAttrs(inode *erofs.Inode) []Attr {
	attrs := []Attr{
		{"type", inode.TypeName(), cause.Content},
		{"mode", fmt.Sprintf("%04o", inode.Mode&0o7777), cause.Permission},
		{"uid", fmt.Sprint(inode.UID), cause.Permission},
		{"gid", fmt.Sprint(inode.GID), cause.Permission},
		{"mtime", stamp(inode.Mtime, int64(inode.MtimeNsec)), cause.Timestamp},
	}
	if !inode.IsDir() {
		attrs = append(attrs, Attr{"links", fmt.Sprint(inode.Links), cause.Derived})
	}
	if inode.IsSymlink() {
		target, err := inode.Readlink()
		if err != nil {
			target = "unreadable: " + err.Error()
		}
		attrs = append(attrs, Attr{"target", target, cause.Content})
	}
	if inode.IsDevice() {
		major, minor := inode.Device()
		attrs = append(attrs, Attr{"device", fmt.Sprintf("%d:%d", major, minor), cause.Content})
	}
	xattrs, err := inode.Xattrs()
	if err != nil {
		return append(attrs, Attr{"extended attributes", "unreadable: " + err.Error(), cause.Attribute})
	}
	sort.SliceStable(xattrs, func(i, j int) bool { return xattrs[i].Name < xattrs[j].Name })
	for _, x := range xattrs {
		attrs = append(attrs, Attr{"xattr " + x.Name, printable(x.Value), xattrClass(x.Name)})
	}
	return attrs
}

// xattrClass: some attributes grant rights.
func xattrClass(name string) cause.Class {
	if strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "system.posix_acl") {
		return cause.Permission
	}
	return cause.Attribute
}

// printable shows a value as text if it is that, else in hexadecimal digits.
func printable(b []byte) string {
	for _, c := range bytes.TrimSuffix(b, []byte{0}) {
		if c < 0x20 || c > 0x7e {
			return "0x" + hex.EncodeToString(b)
		}
	}
	return string(b)
}

func (t erofsTree) dir(dir *erofs.Inode) (*Expansion, error) {
	entries, err := dir.ReadDir()
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "directory", Ordered: true}
	for _, d := range entries {
		inode, err := t.img.Inode(d.NID)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", d.Name, err)
		}
		e.Children = append(e.Children, t.node(inode, d.Name))
	}
	uniqueNames(e.Children)
	return e, nil
}

// erofsFile is a file's content, and the image that it lies in. Two files of two
// images that are stored in the same way are compared as they are stored, without
// decompressing.
type erofsFile struct {
	*erofs.Inode
	in content.Content
}

func (f erofsFile) Size() int64 { return f.Inode.Size }

// SameAs implements [content.Sharer].
func (f erofsFile) SameAs(c content.Content) (same, known bool, err error) {
	o, ok := c.(erofsFile)
	if !ok || f.Layout != o.Layout {
		return false, false, nil
	}
	var a, b content.Range // stored in one piece on both sides
	for off := int64(0); off < f.Size(); {
		x, err := f.ExtentAt(off)
		if err != nil {
			return false, false, err
		}
		y, err := o.ExtentAt(off)
		if err != nil {
			return false, false, err
		}
		if x.Logical != y.Logical || x.Length != y.Length || x.Encoding != y.Encoding ||
			x.Stored != y.Stored || x.Partial != y.Partial || x.Encoding == erofs.Fragment {
			return false, false, nil
		}
		off = x.Logical + x.Length
		if x.Stored == 0 {
			continue
		}
		if x.Physical != a.End() || y.Physical != b.End() {
			if same, err := f.storedSame(o, a, b); !same || err != nil {
				return false, false, err
			}
			a, b = content.Range{Offset: x.Physical}, content.Range{Offset: y.Physical}
		}
		a.Length, b.Length = a.Length+x.Stored, b.Length+y.Stored
	}
	same, err = f.storedSame(o, a, b)
	return same, same, err
}

// storedSame compares bytes of the two images. What lies outside of one is not the
// same.
func (f erofsFile) storedSame(o erofsFile, a, b content.Range) (bool, error) {
	x, y := content.Section(f.in, a.Offset, a.Length), content.Section(o.in, b.Offset, b.Length)
	if x.Size() != a.Length || y.Size() != b.Length {
		return false, nil
	}
	return content.Equal(x, y)
}

// erofsLayout tells, for each file, how it is stored. Links and the order of
// names are not part of it.
func erofsLayout(img *erofs.Image, inode *erofs.Inode, name string, yield func(LayoutItem) bool) (bool, error) {
	item := LayoutItem{Path: name}
	size := "compact"
	if inode.Extended {
		size = "extended"
	}
	item.Attrs = []Attr{{"inode", size, cause.Layout}, {"data", inode.Layout.String(), cause.Compression}}
	encoding, place, err := extents(inode)
	if err != nil {
		return false, err
	}
	item.Attrs = append(item.Attrs,
		Attr{"extents", encoding, cause.Compression},
		Attr{"inode number", fmt.Sprint(inode.Ino), cause.Order},
		Attr{"place of the inode", fmt.Sprint(inode.NID), cause.Order},
		Attr{"place of the data", place, cause.Order})
	if !yield(item) {
		return false, nil
	}
	if !inode.IsDir() {
		return true, nil
	}
	entries, err := inode.ReadDir()
	if err != nil {
		return false, err
	}
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
	for _, d := range entries {
		child, err := img.Inode(d.NID)
		if err != nil {
			return false, err
		}
		if more, err := erofsLayout(img, child, path.Join(name, d.Name), yield); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// extents sums up how a file's data is encoded, and where it starts.
func extents(inode *erofs.Inode) (encoding, place string, err error) {
	if !inode.IsRegular() || inode.Size == 0 {
		return "none", "none", nil
	}
	type total struct{ count, stored int64 }
	totals := map[erofs.Encoding]total{}
	for x, err := range inode.Extents() {
		if err != nil {
			return "", "", err
		}
		if place == "" {
			place = fmt.Sprint(x.Physical)
		}
		t := totals[x.Encoding]
		totals[x.Encoding] = total{t.count + 1, t.stored + x.Stored}
	}
	var list []string
	for k, t := range totals {
		list = append(list, fmt.Sprintf("%v: %d, %d bytes", k, t.count, t.stored))
	}
	sort.Strings(list)
	return strings.Join(list, "; "), place, nil
}
