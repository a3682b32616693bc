// Package manifest writes down what an artefact consists of, so that two
// organisations find where theirs differ without exchanging the artefacts:
// every partition, file and section with its attributes, size and SHA-256, and
// the SHA-256 of every piece of 1 MiB of what is larger.
//
// A manifest is text, one JSON object a line, so that it lives well in git:
//
//	{"manifest":"mangos-manifest-1"}
//	{"d":0,"k":"artifact","n":"mangos.raw.zst","s":123,"h":"…","f":"zstd","p":["…"]}
//	{"set":1,"a":{"mode":"0755","mtime":"2023-11-14T22:13:20Z",…}}
//	{"package":1,"n":"bash","a":"amd64","v":"5.2.37-2","s":"bash","w":"5.2.37-2"}
//	{"d":5,"k":"file","n":"bash","s":1265648,"h":"…","t":1,"b":1}
//
// d is the depth in the tree, k the kind, n the name, s the size, h the
// SHA-256, f the format of what follows with depth d+1, p the pieces, t the
// set of attributes, b the package that a file belongs to; c the class of any
// difference, x marks what belongs to an organisation. A set has attributes
// (a), and those whose differences are of another class than their key tells
// (v: value and class). A package has an architecture (a), a version (v), and
// its source's name and version (s, w); all packages of a file system follow
// its line, whether files belong to them or not. A manifest is as trustworthy
// as the statement that names its digest.
package manifest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/dpkg"
)

// Format is the value of the first line's first key. It changes with the
// format.
const Format = "mangos-manifest-1"

// Limits of what is read.
const (
	MaxSize  = 128 << 20 // bytes of a manifest
	MaxNodes = 500_000
	maxLine  = 8 << 20

	maxPackages = 100_000
)

// ErrInvalid says that something is no manifest.
var ErrInvalid = errors.New("invalid manifest")

// header is the first line.
type header struct {
	Manifest string `json:"manifest"`
}

// attributes are a set that components share.
type attributes struct {
	Set     int                  `json:"set"`
	Attrs   map[string]string    `json:"a,omitempty"`
	Special map[string][2]string `json:"v,omitempty"`
}

// pkg is an installed package.
type pkg struct {
	Package       int    `json:"package"`
	Name          string `json:"n"`
	Architecture  string `json:"a,omitempty"`
	Version       string `json:"v"`
	Source        string `json:"s,omitempty"`
	SourceVersion string `json:"w,omitempty"`
}

// line is one component.
type line struct {
	Depth   int            `json:"d"`
	Kind    component.Kind `json:"k"`
	Name    string         `json:"n"`
	Size    *int64         `json:"s,omitempty"`
	SHA256  string         `json:"h,omitempty"`
	Format  string         `json:"f,omitempty"`
	Ordered bool           `json:"o,omitempty"`
	Pieces  []string       `json:"p,omitempty"`
	Set     int            `json:"t,omitempty"`
	Package int            `json:"b,omitempty"`
	Class   cause.Class    `json:"c,omitempty"`
	Signed  bool           `json:"x,omitempty"`
}

// opened tells the formats whose parts are worth a line each.
var opened = map[string]bool{
	"release": true, "gpt": true, "erofs": true, "vfat": true, "directory": true, "verity": true, "pe": true,
	"elf": true, "bzimage": true, "cpio": true, "initrd": true, "zstd": true, "xz": true,
}

// Write writes the manifest of a component and all that is in it.
func Write(ctx context.Context, out io.Writer, root *component.Node) error {
	w := &writer{ctx: ctx, out: bufio.NewWriter(out), sets: map[string]int{}}
	if err := w.line(header{Format}); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := w.node(root, place{}); err != nil {
		return fmt.Errorf("write manifest of %q: %w", root.Name, err)
	}
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

type writer struct {
	ctx      context.Context
	out      *bufio.Writer
	sets     map[string]int // by their JSON, without number
	nodes    int
	packages int
}

// place is where a component stands: in the tree, and in the file system that
// it is a file of.
type place struct {
	depth int
	path  string // "" outside of a file system
	in    *system
}

// system is a file system with packages.
type system struct {
	owners  *component.Owners
	numbers map[dpkg.Package]int
}

func (w *writer) line(v any) error {
	e := json.NewEncoder(w.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (w *writer) node(n *component.Node, at place) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.nodes++; w.nodes > MaxNodes || at.depth > component.MaxDepth {
		return fmt.Errorf("more than %d components, or %d levels", MaxNodes, component.MaxDepth)
	}
	if inTree(n.Kind) {
		at.path = path.Join(at.path, n.Name)
	} else {
		at.path, at.in = "", nil
	}
	l := line{Depth: at.depth, Kind: n.Kind, Name: n.Name, Class: n.Class, Signed: n.Signed, Package: at.owner()}
	set, err := w.set(n)
	if err != nil {
		return err
	}
	l.Set = set
	if n.Content != nil {
		if err := l.hash(n.Content); err != nil {
			return err
		}
	}
	e, err := expand(n)
	if err != nil {
		return err
	}
	if e != nil {
		l.Format, l.Ordered = e.Format, e.Ordered
	}
	if err := w.line(l); err != nil {
		return err
	}
	if e == nil {
		return nil
	}
	if e.Owners != nil {
		if at.in, err = w.enter(e); err != nil {
			return err
		}
		at.path = ""
	}
	at.depth++
	for _, c := range e.Children {
		if c.Kind == component.Gap {
			continue
		}
		if err := w.node(c, at); err != nil {
			return err
		}
	}
	return nil
}

// enter writes the packages of a file system.
func (w *writer) enter(e *component.Expansion) (*system, error) {
	owners, err := e.Owners()
	if owners == nil || err != nil {
		return nil, err
	}
	s := &system{owners, map[dpkg.Package]int{}}
	for _, p := range owners.Packages() {
		w.packages++
		s.numbers[p] = w.packages
		if err := w.line(pkg{w.packages, p.Name, p.Architecture, p.Version, p.Source, p.SourceVersion}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// owner is the number of the package that the file belongs to, 0 for none.
// Folders belong to many.
func (at place) owner() int {
	if at.in == nil {
		return 0
	}
	p, _ := at.in.owners.Owner(at.path)
	return at.in.numbers[p]
}

// inTree tells the kinds that have a place in a tree of folders.
func inTree(k component.Kind) bool {
	switch k {
	case component.Dir, component.File, component.Link, component.Device:
		return true
	}
	return false
}

// expand opens what is worth it. What claims a format and breaks it is a leaf
// here too.
func expand(n *component.Node) (*component.Expansion, error) {
	if n.Content != nil {
		f, err := component.Format(n.Content)
		if err != nil || !opened[f] {
			return nil, err
		}
	}
	e, err := n.Expand()
	if err != nil && n.Content != nil {
		return nil, nil
	}
	return e, err
}

func (l *line) hash(c content.Content) error {
	size := c.Size()
	l.Size = &size
	whole := sha256.New()
	buffer := make([]byte, min(component.PieceSize, max(1, size)))
	for off := int64(0); off < size; off += component.PieceSize {
		b := buffer[:min(component.PieceSize, size-off)]
		if err := content.ReadFull(c, b, off); err != nil {
			return err
		}
		whole.Write(b)
		if size > component.PieceSize {
			sum := sha256.Sum256(b)
			l.Pieces = append(l.Pieces, hex.EncodeToString(sum[:]))
		}
	}
	l.SHA256 = hex.EncodeToString(whole.Sum(nil))
	return nil
}

// set is the number of the component's set of attributes, 0 for none. A new
// set is written first.
func (w *writer) set(n *component.Node) (int, error) {
	attrs, err := n.FieldAttrs()
	if err != nil {
		return 0, err
	}
	attrs = append(attrs, n.Attrs...)
	if len(attrs) == 0 {
		return 0, nil
	}
	var s attributes
	for _, a := range attrs {
		if a.Class == component.AttrClass(a.Key) {
			put(&s.Attrs, a.Key, a.Value)
		} else {
			put(&s.Special, a.Key, [2]string{a.Value, string(a.Class)})
		}
	}
	key, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	if k, ok := w.sets[string(key)]; ok {
		return k, nil
	}
	s.Set = len(w.sets) + 1
	w.sets[string(key)] = s.Set
	return s.Set, w.line(s)
}

// put makes the map that it puts something into.
func put[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}
