package manifest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"sort"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/format/dpkg"
)

// Read reads a manifest as a tree of components whose bytes are not at hand,
// only what is known of them.
func Read(r io.Reader) (*component.Node, error) {
	root, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return root, nil
}

// level is a component whose children are being read.
type level struct {
	in     *component.Expansion
	path   string            // in its file system
	owners *component.Owners // of that
}

func read(r io.Reader) (*component.Node, error) {
	limited := &io.LimitedReader{R: r, N: MaxSize + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var head header
	if !lines.Scan() || decode(lines.Bytes(), &head) != nil || head.Manifest != Format {
		return nil, fmt.Errorf("%w: it does not start as a %s", ErrInvalid, Format)
	}
	t := &tree{packages: []dpkg.Package{{}}}
	for count := 2; lines.Scan(); count++ {
		if err := t.add(lines.Bytes()); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrInvalid, count, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrInvalid, MaxSize)
	}
	if t.root == nil {
		return nil, fmt.Errorf("%w: it describes nothing", ErrInvalid)
	}
	return t.root, nil
}

// tree is what has been read.
type tree struct {
	root     *component.Node
	path     []level
	sets     [][]component.Attr
	packages []dpkg.Package // by their numbers, from 1
	nodes    int
}

// add reads one line: a component, a set of attributes or a package.
func (t *tree) add(b []byte) error {
	if bytes.HasPrefix(b, []byte(`{"set":`)) {
		var s attributes
		if err := decode(b, &s); err != nil {
			return err
		}
		if s.Set != len(t.sets)+1 {
			return fmt.Errorf("set %d follows set %d", s.Set, len(t.sets))
		}
		t.sets = append(t.sets, s.list())
		return nil
	}
	if bytes.HasPrefix(b, []byte(`{"package":`)) {
		return t.addPackage(b)
	}
	var l line
	if err := decode(b, &l); err != nil {
		return err
	}
	if t.nodes++; t.nodes > MaxNodes || l.Depth > component.MaxDepth {
		return fmt.Errorf("more than %d components, or %d levels", MaxNodes, component.MaxDepth)
	}
	n, e, err := l.node(t.sets)
	if err != nil {
		return err
	}
	switch {
	case l.Depth == 0 && t.root == nil:
		t.root = n
	case l.Depth < 1 || l.Depth > len(t.path) || t.path[l.Depth-1].in == nil:
		return fmt.Errorf("depth %d", l.Depth)
	default:
		parent := t.path[l.Depth-1].in
		parent.Children = append(parent.Children, n)
	}
	return t.down(&l, e)
}

// down makes the component the one whose children follow, and notes to which
// package it belongs.
func (t *tree) down(l *line, e *component.Expansion) error {
	at := level{in: e}
	if inTree(l.Kind) && l.Depth > 0 {
		above := t.path[l.Depth-1]
		at.path, at.owners = path.Join(above.path, l.Name), above.owners
	}
	if l.Package < 0 || l.Package >= len(t.packages) || l.Package > 0 && at.owners == nil {
		return fmt.Errorf("package %d of %d", l.Package, len(t.packages)-1)
	}
	if l.Package > 0 {
		at.owners.Own(at.path, t.packages[l.Package])
	}
	t.path = append(t.path[:l.Depth], at)
	return nil
}

// addPackage reads a package of the file system whose line was the last one.
func (t *tree) addPackage(b []byte) error {
	var p pkg
	if err := decode(b, &p); err != nil {
		return err
	}
	if p.Package != len(t.packages) || p.Package > maxPackages || p.Name == "" || len(t.path) == 0 || t.path[len(t.path)-1].in == nil {
		return fmt.Errorf("package %d follows package %d", p.Package, len(t.packages)-1)
	}
	at := &t.path[len(t.path)-1]
	if at.owners == nil {
		owners := dpkg.New()
		at.owners, at.path = owners, ""
		at.in.Owners = func() (*component.Owners, error) { return owners, nil }
	}
	added := dpkg.Package{Name: p.Name, Architecture: p.Architecture, Version: p.Version, Source: p.Source, SourceVersion: p.SourceVersion}
	t.packages = append(t.packages, added)
	at.owners.Add(added)
	return nil
}

// decode reads one line strictly. Lines are many, so the cheap check for the
// known fields comes from the standard decoder, and that for doubled keys from
// strictjson.
func decode(b []byte, v any) error {
	if err := strictjson.Check(b); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// node makes the component and, if it has children, what they are put into.
func (l *line) node(sets [][]component.Attr) (*component.Node, *component.Expansion, error) {
	if l.Name == "" || len(l.Name) > 4096 || l.Class != "" && !l.Class.Known() {
		return nil, nil, fmt.Errorf("component %.60q of class %.60q", l.Name, l.Class)
	}
	n := &component.Node{Kind: l.Kind, Name: l.Name, Class: l.Class, Signed: l.Signed}
	if l.Size != nil {
		known, err := l.known()
		if err != nil {
			return nil, nil, err
		}
		n.Known = known
	}
	if l.Set < 0 || l.Set > len(sets) {
		return nil, nil, fmt.Errorf("set %d of %d", l.Set, len(sets))
	}
	if l.Set > 0 {
		n.Attrs = sets[l.Set-1]
	}
	if l.Format == "" {
		return n, nil, nil
	}
	e := &component.Expansion{Format: l.Format, Ordered: l.Ordered, Partial: true, Known: true}
	g := component.Group(l.Kind, l.Name, e)
	g.Class, g.Signed, g.Known, g.Attrs = n.Class, n.Signed, n.Known, n.Attrs
	return g, e, nil
}

func (l *line) known() (*component.Known, error) {
	k := &component.Known{Size: *l.Size}
	var err error
	if k.SHA256, err = digest(l.SHA256); err != nil || k.Size < 0 {
		return nil, fmt.Errorf("size %d, digest %.80q", k.Size, l.SHA256)
	}
	if len(l.Pieces) > 0 && int64(len(l.Pieces)) != (k.Size+component.PieceSize-1)/component.PieceSize {
		return nil, fmt.Errorf("%d pieces of %d bytes", len(l.Pieces), k.Size)
	}
	for _, p := range l.Pieces {
		d, err := digest(p)
		if err != nil {
			return nil, err
		}
		k.Pieces = append(k.Pieces, d)
	}
	return k, nil
}

func digest(s string) (d [32]byte, err error) {
	if len(s) != 64 {
		return d, fmt.Errorf("digest of %d digits", len(s))
	}
	_, err = hex.Decode(d[:], []byte(s))
	return d, err
}

// list is the set as attributes, sorted by key.
func (s *attributes) list() []component.Attr {
	var list []component.Attr
	for k, v := range s.Attrs {
		list = append(list, component.Attr{Key: k, Value: v, Class: component.AttrClass(k)})
	}
	for k, v := range s.Special {
		class := cause.Class(v[1])
		if !class.Known() {
			class = cause.Content
		}
		list = append(list, component.Attr{Key: k, Value: v[0], Class: class})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Key < list[j].Key })
	return list
}
