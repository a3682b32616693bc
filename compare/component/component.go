// Package component sees an artefact as a tree of components: a disk holds
// partitions, a partition a file system, that holds files, a file sections.
// Each level is opened when it is asked for, where it lies: nothing is
// unpacked, and no level is held in memory as a whole except lists of names.
//
// What cannot be opened (damaged, or of an unknown format) is a leaf: it still
// has bytes to compare.
package component

import (
	"errors"
	"fmt"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
)

// Kind says what a component is to a reader.
type Kind string

// The kinds of components.
const (
	Release   Kind = "release"
	Artifact  Kind = "artifact"
	Partition Kind = "partition"
	Dir       Kind = "dir"
	File      Kind = "file"
	Link      Kind = "link"
	Device    Kind = "device" // also FIFOs and sockets
	Section   Kind = "section"
	Member    Kind = "member"    // of an archive without a tree of folders
	Structure Kind = "structure" // a header or table of the format
	Gap       Kind = "gap"       // bytes that no part of the format claims
)

// Attr is what a component has besides its bytes.
type Attr struct {
	Key, Value string
	Class      cause.Class // of a difference in it
}

// Field says what some bytes of a component's content are.
type Field struct {
	content.Range
	Name  string
	Class cause.Class // of a difference in it
	Show  Show
}

// Show says how a field's bytes are shown.
type Show uint8

// The ways to show a field.
const (
	ShowHex    Show = iota
	ShowNumber      // little-endian
	ShowTime        // little-endian seconds since 1970
	ShowGUID        // mixed-endian, as in a GPT
	ShowUUID
)

// Node is one component.
type Node struct {
	Kind Kind
	// Name tells the component from its siblings. It is what the format says:
	// escape it before it is printed.
	Name string
	// Content is what the component's bytes are, nil if it has none.
	Content content.Content
	Attrs   []Attr
	Fields  []Field
	// Class is the class of any difference in the content, if what the
	// component is decides that.
	Class cause.Class
	// Signed marks what belongs to one organisation and may differ.
	Signed bool
	// Known is what is known of the bytes where they are not at hand.
	Known *Known

	children func() (*Expansion, error)
}

// PieceSize is the size of the pieces that a large content has digests of.
const PieceSize = 1 << 20

// Known is what evidence tells about bytes.
type Known struct {
	Size   int64
	SHA256 [32]byte
	Pieces [][32]byte // SHA-256 of each piece, the last one may be shorter
}

// Expansion is a component seen from inside.
type Expansion struct {
	Format   string // what it is: "gpt", "erofs", "elf", ...
	Children []*Node
	// Ordered says that the order of the children is part of the content.
	Ordered bool
	// Partial says that the children do not cover all bytes: when they are
	// equal the contents may still differ.
	Partial bool
	// Known says that only what a manifest tells is there.
	Known bool
	// Wraps says that there is one child: the content, decompressed.
	Wraps bool
	// Layout, if not nil, goes through what the tree below has besides files:
	// how it is stored.
	Layout func(yield func(LayoutItem) bool) error
	// Relate, if not nil, is told the other side's expansion before the two are
	// compared: some differences follow from others only where those are there.
	Relate func(other *Expansion) error
	// Owners, if not nil, tells which package owns a path below.
	Owners func() (*Owners, error)
}

// LayoutItem is how one file is stored. The items of two equal trees come in
// the same order.
type LayoutItem struct {
	Path  string
	Attrs []Attr
}

// ErrLimit says that a component is larger or deeper than what is opened.
var ErrLimit = errors.New("larger than the limit")

// MaxDepth bounds how deep components are opened inside of each other.
const MaxDepth = 64

// Expand looks inside of the component. A leaf gives nil without error. An
// error means that the component claims a format and breaks it: it can then
// only be compared as bytes.
func (n *Node) Expand() (*Expansion, error) {
	if n.children != nil {
		return n.children()
	}
	// The first bytes of a format are its header: that must not be taken for
	// the whole again.
	if n.Content == nil || n.Kind == Structure || n.Kind == Gap {
		return nil, nil
	}
	return open(n.Content)
}

// Find is the child with the given name, nil if there is none.
func (e *Expansion) Find(name string) *Node {
	for _, c := range e.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// New makes a component from bytes.
func New(kind Kind, name string, c content.Content) *Node {
	return &Node{Kind: kind, Name: name, Content: c}
}

// Group makes a component of given children.
func Group(kind Kind, name string, e *Expansion) *Node {
	return &Node{Kind: kind, Name: name, children: func() (*Expansion, error) { return e, nil }}
}

// WithOwners lets it be known which package owns what lies in a component that does not
// say so itself.
func WithOwners(n *Node, owners *Owners) {
	n.children = func() (*Expansion, error) {
		e, err := open(n.Content)
		if e != nil && e.Owners == nil {
			e.Owners = func() (*Owners, error) { return owners, nil }
		}
		return e, err
	}
}

// uniqueNames appends a number to names that occur more than once, so that
// each child can be found. Order is kept.
func uniqueNames(list []*Node) {
	seen := make(map[string]int, len(list))
	for _, n := range list {
		name := n.Name
		for k := seen[name]; seen[n.Name] > 0; {
			k++
			seen[name], n.Name = k, fmt.Sprintf("%s #%d", name, k)
		}
		seen[n.Name]++
	}
}

// part is the component that lies in bytes [off, off+size) of c.
func part(kind Kind, name string, c content.Content, off, size int64) *Node {
	return New(kind, name, content.Section(c, off, size))
}

// field makes a field at off.
func field(off, length int64, name string, class cause.Class, show Show) Field {
	return Field{content.Range{Offset: off, Length: length}, name, class, show}
}
