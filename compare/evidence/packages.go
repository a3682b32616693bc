package evidence

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path"
	"slices"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/format/dpkg"
)

// unowned is the name of the artifact for what no package owns: folders, which
// many own, and generated files.
const unowned = PackagePrefix + "(none)"

// Packages are the packages of a file system as artifacts, made from its
// manifest: each stands for its name, version and the files that it owns, with
// all their attributes. A line for each file, in the order of the manifest, is
// hashed: kind, path, size, SHA-256 and sorted attributes, quoted as in Go.
// A manifest of something else has none.
func Packages(root *component.Node) ([]Item, error) {
	e, err := root.Expand()
	if err != nil || e == nil || e.Owners == nil {
		return nil, err
	}
	owners, err := e.Owners()
	if owners == nil || err != nil {
		return nil, err
	}
	p := &packages{owners: owners, hashes: map[string]hash.Hash{unowned: sha256.New()}}
	for _, x := range owners.Packages() {
		p.hash(x)
	}
	for _, c := range e.Children {
		if c.Kind == component.Dir {
			if err := p.add(c, c.Name); err != nil {
				return nil, err
			}
		}
	}
	var list []Item
	for _, name := range sortedKeys(p.hashes) {
		list = append(list, Item{name, hex.EncodeToString(p.hashes[name].Sum(nil))})
	}
	return list, nil
}

type packages struct {
	owners *component.Owners
	hashes map[string]hash.Hash // by name of the artifact
}

// hash is that of the package, which begins with what identifies it.
func (p *packages) hash(x dpkg.Package) hash.Hash {
	name := PackagePrefix + x.Name
	if _, ok := p.hashes[name]; ok && x.Architecture != "" {
		name += ":" + x.Architecture // installed for several architectures
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q\n", x.Name, x.Architecture, x.Version)
	p.hashes[name] = h
	return h
}

func (p *packages) owner(name string) hash.Hash {
	x, ok := p.owners.Owner(name)
	if !ok {
		return p.hashes[unowned]
	}
	if h, ok := p.hashes[PackagePrefix+x.Name+":"+x.Architecture]; ok {
		return h
	}
	return p.hashes[PackagePrefix+x.Name]
}

func (p *packages) add(n *component.Node, name string) error {
	h := p.hashes[unowned]
	if n.Kind != component.Dir {
		h = p.owner(name)
	}
	fmt.Fprintf(h, "%s %q", n.Kind, name)
	if n.Known != nil {
		fmt.Fprintf(h, " %d %x", n.Known.Size, n.Known.SHA256)
	}
	for _, a := range slices.SortedFunc(slices.Values(n.Attrs), func(x, y component.Attr) int { return cmp.Compare(x.Key, y.Key) }) {
		if a.Class != cause.Derived {
			fmt.Fprintf(h, " %q=%q", a.Key, a.Value)
		}
	}
	fmt.Fprintln(h)
	if n.Kind != component.Dir {
		return nil
	}
	e, err := n.Expand()
	if err != nil || e == nil {
		return err
	}
	for _, c := range e.Children {
		if err := p.add(c, path.Join(name, c.Name)); err != nil {
			return err
		}
	}
	return nil
}
