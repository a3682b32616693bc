package component

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
)

const (
	cpioHeader  = 110
	cpioTrailer = "TRAILER!!!"
	maxMembers  = 1_000_000
	maxNames    = 64 << 20 // bytes of all names of an archive
	maxName     = 4096
)

var errCpio = errors.New("malformed cpio archive")

func detectCpio(b []byte) bool {
	return at(0, "070701")(b) || at(0, "070702")(b)
}

// openInitrd opens what the kernel accepts as an initrd: archives, compressed
// or not, one after another with zeros between. A single one is shown as it
// is, several as numbered segments.
func openInitrd(c content.Content) (*Expansion, error) {
	var segments []*Node
	for off, archives := int64(0), 1; off < c.Size(); archives++ {
		rest := content.Section(c, off, c.Size()-off)
		length, err := initrdSegment(rest)
		if err != nil {
			return nil, fmt.Errorf("at %d: %w", off, err)
		}
		zeros := leadingZeros(content.Section(rest, length, c.Size()))
		if length+zeros == c.Size() {
			return initrdPart(content.Section(c, 0, length))
		}
		name := fmt.Sprintf("archive %d", archives)
		segments = append(segments, part(Member, name, c, off, length))
		if zeros > 0 {
			segments = append(segments, part(Gap, "padding after "+name, c, off+length, zeros))
		}
		if len(segments) > 1000 {
			return nil, fmt.Errorf("more than 1000 archives: %w", ErrLimit)
		}
		off += length + zeros
	}
	for _, s := range segments {
		if s.Kind == Member {
			s.children = func() (*Expansion, error) { return initrdPart(s.Content) }
		}
	}
	return &Expansion{Format: "initrd", Children: segments, Ordered: true}, nil
}

// initrdSegment is the length of the archive at the start of c. gzip and xz do
// not tell their length: they take the rest.
func initrdSegment(c content.Content) (int64, error) {
	head, err := content.Prefix(c, 6)
	if err != nil {
		return 0, err
	}
	end := c.Size()
	switch {
	case detectCpio(head):
		_, end, err = readCpio(c)
	case at(0, "\x28\xb5\x2f\xfd")(head):
		for end = 0; end < c.Size(); {
			n, _, ferr := content.ZstdFrame(content.Section(c, end, c.Size()-end))
			if ferr != nil && end == 0 {
				return 0, ferr
			}
			if ferr != nil {
				break
			}
			end += n
		}
	}
	return end, err
}

func leadingZeros(c content.Content) int64 {
	b := make([]byte, 64<<10)
	for off := int64(0); off < c.Size(); {
		n := min(int64(len(b)), c.Size()-off)
		if content.ReadFull(c, b[:n], off) != nil {
			return off
		}
		for k, v := range b[:n] {
			if v != 0 {
				return off + int64(k)
			}
		}
		off += n
	}
	return c.Size()
}

func initrdPart(c content.Content) (*Expansion, error) {
	a, err := content.DetectAlgorithm(c)
	if err != nil {
		return nil, err
	}
	if a != content.None {
		return wrapped(c, a)
	}
	list, _, err := readCpio(c)
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "cpio", Ordered: true, Partial: true}
	for _, m := range list {
		e.Children = append(e.Children, m.node(c))
	}
	uniqueNames(e.Children)
	e.Layout = func(yield func(LayoutItem) bool) error {
		for _, m := range list {
			item := LayoutItem{Path: m.name, Attrs: []Attr{
				{"inode number", fmt.Sprint(m.ino), cause.Order},
				{"device", fmt.Sprintf("%d:%d", m.devMajor, m.devMinor), cause.Layout},
				{"place", fmt.Sprint(m.data), cause.Layout},
			}}
			if !yield(item) {
				return nil
			}
		}
		return nil
	}
	return e, nil
}

// cpioMember is a header of the "newc" format (cpio(5)).
type cpioMember struct {
	name                       string
	ino, mode, uid, gid, links uint32
	mtime                      uint32
	size                       int64
	devMajor, devMinor         uint32
	major, minor               uint32
	data                       int64 // offset of the content
}

// readCpio lists the members of the archive at the start of c, and tells where
// it ends.
func readCpio(c content.Content) (list []cpioMember, end int64, err error) {
	names := 0
	for off := int64(0); ; {
		m, err := readMember(c, off)
		if err != nil {
			return nil, 0, fmt.Errorf("member %d at %d: %w", len(list), off, err)
		}
		off = m.data + (m.size+3)&^3
		if m.name == cpioTrailer {
			return list, min(off, c.Size()), nil
		}
		if names += len(m.name); len(list) == maxMembers || names > maxNames {
			return nil, 0, fmt.Errorf("archive of more than %d members: %w", len(list), ErrLimit)
		}
		if off > c.Size() {
			return nil, 0, fmt.Errorf("%w: member %d is cut off", errCpio, len(list))
		}
		list = append(list, m)
	}
}

func readMember(c content.Content, off int64) (m cpioMember, err error) {
	var b [cpioHeader]byte
	if off > c.Size()-cpioHeader {
		return m, fmt.Errorf("%w: no trailer", errCpio)
	}
	if err := content.ReadFull(c, b[:], off); err != nil {
		return m, err
	}
	if !detectCpio(b[:]) {
		return m, fmt.Errorf("%w: no header", errCpio)
	}
	var nameSize, size, check uint32
	for n, p := range []*uint32{&m.ino, &m.mode, &m.uid, &m.gid, &m.links, &m.mtime, &size,
		&m.devMajor, &m.devMinor, &m.major, &m.minor, &nameSize, &check} {
		v, err := strconv.ParseUint(string(b[6+8*n:14+8*n]), 16, 32)
		if err != nil {
			return m, fmt.Errorf("%w: number %q", errCpio, b[6+8*n:14+8*n])
		}
		*p = uint32(v)
	}
	if nameSize == 0 || nameSize > maxName || off+cpioHeader+int64(nameSize) > c.Size() {
		return m, fmt.Errorf("%w: name of %d bytes", errCpio, nameSize)
	}
	name := make([]byte, nameSize)
	if err := content.ReadFull(c, name, off+cpioHeader); err != nil {
		return m, err
	}
	if name[nameSize-1] != 0 {
		return m, fmt.Errorf("%w: name without end", errCpio)
	}
	m.name, m.size = string(name[:nameSize-1]), int64(size)
	m.data = (off + cpioHeader + int64(nameSize) + 3) &^ 3
	return m, nil
}

func (m *cpioMember) node(c content.Content) *Node {
	n := &Node{Kind: File, Name: path.Join("/", m.name)}
	kind := "file"
	switch m.mode & 0xf000 {
	case 0x8000:
		n.Content = content.Section(c, m.data, m.size)
	case 0x4000:
		n.Kind, kind = Dir, "dir"
	case 0xa000:
		n.Kind, kind = Link, "link"
	default:
		n.Kind, kind = Device, fmt.Sprintf("type %#x", m.mode&0xf000)
	}
	n.Attrs = []Attr{
		{"type", kind, cause.Content},
		{"mode", fmt.Sprintf("%04o", m.mode&0o7777), cause.Permission},
		{"uid", fmt.Sprint(m.uid), cause.Permission},
		{"gid", fmt.Sprint(m.gid), cause.Permission},
		{"mtime", stamp(int64(m.mtime), 0), cause.Timestamp},
		{"links", fmt.Sprint(m.links), cause.Derived},
	}
	if n.Kind == Link {
		target, err := content.ReadAll(content.Section(c, m.data, m.size), 64<<10)
		if err != nil {
			target = []byte("unreadable: " + err.Error())
		}
		n.Attrs = append(n.Attrs, Attr{"target", string(target), cause.Content})
	}
	if n.Kind == Device {
		n.Attrs = append(n.Attrs, Attr{"device", fmt.Sprintf("%d:%d", m.major, m.minor), cause.Content})
	}
	return n
}
