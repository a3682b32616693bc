package sourceid

import (
	"archive/tar"
	"crypto/sha1" //nolint:gosec // git names objects by it
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Limits of a source tree.
const (
	maxEntries = 4 << 20
	maxDepth   = 256
	maxTree    = 64 << 30 // bytes of all files
)

// ErrTree: an archive that does not unpack to a tree.
var ErrTree = errors.New("not a source tree")

// node is a folder or an entry of one, as git sees it.
type node struct {
	mode     string           // "40000", "100644", "100755" or "120000"
	id       [sha1.Size]byte  // of everything but folders
	children map[string]*node // of a folder
}

func newFolder() *node { return &node{mode: "40000", children: map[string]*node{}} }

// Tree is what an archive unpacks to.
type Tree struct {
	// ID is git's id of the tree, hexadecimal.
	ID string
	// Commit is what the archive's header calls its commit, as git archive
	// writes it; empty if it names none.
	Commit string
}

// SWHID is the Software Heritage identifier of the tree (ISO/IEC 18670).
func (t Tree) SWHID() string { return "swh:1:dir:" + t.ID }

// ReadTar computes the identity of the tree in a tar archive. As unpacking
// tools do, it takes a single folder at the top for the tree itself.
func ReadTar(r io.Reader) (Tree, error) {
	b := treeReader{root: newFolder(), tar: tar.NewReader(r)}
	if err := b.read(); err != nil {
		return Tree{}, fmt.Errorf("read source tree: %w", err)
	}
	root := b.root
	if len(root.children) == 1 {
		for _, only := range root.children {
			if only.children != nil {
				root = only
			}
		}
	}
	id := root.hash()
	return Tree{ID: hex.EncodeToString(id[:]), Commit: b.commit}, nil
}

type treeReader struct {
	root    *node
	tar     *tar.Reader
	commit  string
	entries int
	size    int64
}

func (b *treeReader) read() error {
	for {
		h, err := b.tar.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrTree, err)
		}
		if b.entries++; b.entries > maxEntries {
			return fmt.Errorf("%w: more than %d entries", ErrTree, maxEntries)
		}
		if b.size += h.Size; h.Size < 0 || b.size > maxTree {
			return fmt.Errorf("%w: more than %d bytes", ErrTree, int64(maxTree))
		}
		if err := b.entry(h); err != nil {
			return fmt.Errorf("%.200q: %w", h.Name, err)
		}
	}
}

// entry adds one member of the archive.
func (b *treeReader) entry(h *tar.Header) error {
	n := &node{}
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		if c := h.PAXRecords["comment"]; IsCommit(c) && b.commit == "" {
			b.commit = c
		}
		return nil
	case tar.TypeDir:
		n = newFolder()
	case tar.TypeReg, tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
		if h.Typeflag != tar.TypeReg {
			h.Size = 0 // the archive of source code has an empty file for it
		}
		n.mode = "100644"
		if h.Mode&0o111 != 0 {
			n.mode = "100755"
		}
		id, err := blob(b.tar, h.Size)
		if err != nil {
			return err
		}
		n.id = id
	case tar.TypeSymlink:
		n.mode = "120000"
		n.id, _ = blob(strings.NewReader(h.Linkname), int64(len(h.Linkname)))
	case tar.TypeLink:
		target, err := b.find(h.Linkname)
		if err != nil {
			return err
		}
		n = target
	default:
		return fmt.Errorf("%w: member of type %q", ErrTree, h.Typeflag)
	}
	return b.put(h.Name, n)
}

// parts splits a member's name.
func parts(name string) ([]string, error) {
	clean := path.Clean("/" + name)
	if clean == "/" {
		return nil, nil
	}
	list := strings.Split(clean[1:], "/")
	for p := range strings.SplitSeq(name, "/") {
		if p == ".." {
			return nil, fmt.Errorf("%w: the name leads upwards", ErrTree)
		}
	}
	if len(list) > maxDepth {
		return nil, fmt.Errorf("%w: nested too deep", ErrTree)
	}
	return list, nil
}

// put places a node under its name; a later member replaces an earlier one,
// but a folder keeps what it has.
func (b *treeReader) put(name string, n *node) error {
	list, err := parts(name)
	if err != nil || len(list) == 0 {
		return err
	}
	at := b.root
	for _, p := range list[:len(list)-1] {
		next := at.children[p]
		if next == nil || next.children == nil {
			next = newFolder()
			at.children[p] = next
		}
		at = next
	}
	last := list[len(list)-1]
	if old := at.children[last]; old != nil && old.children != nil && n.children != nil {
		return nil
	}
	at.children[last] = n
	return nil
}

// find returns the file that a hard link means.
func (b *treeReader) find(name string) (*node, error) {
	list, err := parts(name)
	if err != nil {
		return nil, err
	}
	at := b.root
	for _, p := range list {
		if at = at.children[p]; at == nil {
			return nil, fmt.Errorf("%w: a hard link to %.200q, which is not there before", ErrTree, name)
		}
	}
	if at.children != nil {
		return nil, fmt.Errorf("%w: a hard link to a folder", ErrTree)
	}
	return at, nil
}

// blob is git's id of size bytes of content.
func blob(r io.Reader, size int64) (id [sha1.Size]byte, err error) {
	h := sha1.New() //nolint:gosec // git names objects by it
	io.WriteString(h, "blob "+strconv.FormatInt(size, 10)+"\x00")
	n, err := io.Copy(h, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return id, fmt.Errorf("%w: %w", ErrTree, err)
	}
	return sum(h), nil
}

func sum(h hash.Hash) [sha1.Size]byte { return [sha1.Size]byte(h.Sum(nil)) }

// hash is git's id of a folder: its entries sorted as if folders' names ended
// in a slash.
func (n *node) hash() [sha1.Size]byte {
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	key := func(name string) string {
		if n.children[name].children != nil {
			return name + "/"
		}
		return name
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	var body []byte
	for _, name := range names {
		c := n.children[name]
		id := c.id
		if c.children != nil {
			id = c.hash()
		}
		body = append(body, c.mode+" "+name+"\x00"...)
		body = append(body, id[:]...)
	}
	h := sha1.New() //nolint:gosec // git names objects by it
	io.WriteString(h, "tree "+strconv.Itoa(len(body))+"\x00")
	h.Write(body)
	return sum(h)
}

// IsCommit reports whether s is a git commit id: 40 or 64 lower-case
// hexadecimal digits.
func IsCommit(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}
