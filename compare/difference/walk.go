package difference

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/dpkg"
)

// Options bound a comparison.
type Options struct {
	// First stops at the first difference that is a cause.
	First bool
	// Max bounds how many findings are kept, the most telling ones; 0 means
	// DefaultMax.
	Max int
}

// DefaultMax is how many findings are kept.
const DefaultMax = 5000

// Compare walks down from two components that should be the same. An error
// means that something could not be read; what was found until then is lost.
func Compare(ctx context.Context, a, b *component.Node, o Options) (*Result, error) {
	if o.Max == 0 {
		o.Max = DefaultMax
	}
	w := &walker{ctx: ctx, result: newResult(o.Max), first: o.First}
	err := w.node(a, b, 0)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	w.result.finish(err != nil)
	return w.result, nil
}

var errEnough = errors.New("enough found")

// walker is the state of a walk: the path and what its components belong to.
type walker struct {
	ctx    context.Context
	result *Result
	first  bool
	scans  content.Scans

	path   []Step
	signed int      // components on the path that are signed
	scopes []*scope // file systems on the path
}

// scope is a file system on the path with the packages it knows.
type scope struct{ a, b *component.Owners }

// push goes down to a component and returns the way back.
func (w *walker) push(a *component.Node) (pop func()) {
	saved, signed := w.path, w.signed
	step := Step{a.Kind, a.Name}
	if n := len(saved); n > 0 && inTree(step.Kind) && saved[n-1].Kind == component.Dir {
		step.Name = path.Join(saved[n-1].Name, a.Name)
		w.path = append(append([]Step{}, saved[:n-1]...), step)
	} else {
		w.path = append(append([]Step{}, saved...), step)
	}
	if a.Signed {
		w.signed++
	}
	return func() { w.path, w.signed = saved, signed }
}

// add records a finding at the current path.
func (w *walker) add(f Finding) error {
	f.Path = w.path
	f.Signed = f.Signed || w.signed > 0
	w.own(&f)
	w.result.add(f)
	if w.first && f.Class != cause.Derived && !f.Signed {
		return errEnough
	}
	return nil
}

// own names the package of a finding. Where the two sides have different
// versions of it, that is the cause.
func (w *walker) own(f *Finding) {
	name := f.File()
	if name == "" || len(w.scopes) == 0 {
		return
	}
	s := w.scopes[len(w.scopes)-1]
	pa, inA := s.a.Owner(name)
	pb, inB := s.b.Owner(name)
	if !inA && !inB {
		if dpkg.Contains(name) && w.result.versions {
			f.Class, f.Note = cause.Derived, "dpkg's database follows from the installed packages"
		}
		return
	}
	// A file that only one side's package has: what version has the other?
	if !inA {
		pa, inA = s.a.Package(pb.Name, pb.Architecture)
	} else if !inB {
		pb, inB = s.b.Package(pa.Name, pa.Architecture)
	}
	f.Owner = &Owner{Package: pa.Name, Source: pa.Source, VersionA: pa.Version, VersionB: pb.Version}
	if f.Owner.Package == "" {
		f.Owner.Package, f.Owner.Source = pb.Name, pb.Source
	}
	if pa.Version != pb.Version && f.Class != cause.Derived {
		f.Note = "as " + string(f.Class) + "; the package has another version"
		if !inA || !inB {
			f.Note = "as " + string(f.Class) + "; the package is on one side only"
		}
		f.Class = cause.Version
	}
}

func (w *walker) node(a, b *component.Node, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	defer w.push(a)()
	if a.Known != nil || b.Known != nil {
		return w.known(a, b, depth)
	}
	if err := w.attrs(a.Attrs, b.Attrs); err != nil {
		return err
	}
	if a.Content == nil || b.Content == nil {
		return w.inside(a, b, depth)
	}
	same, err := w.scans.Equal(a.Content, b.Content)
	if err != nil {
		return w.failed(err)
	}
	if same {
		return nil
	}
	if len(a.Fields) > 0 {
		return w.fields(a, b)
	}
	if a.Class != "" {
		return w.leaf(a, b)
	}
	return w.inside(a, b, depth)
}

// failed records that something could not be read.
func (w *walker) failed(err error) error {
	if ctx := w.ctx.Err(); ctx != nil {
		return ctx
	}
	return w.add(Finding{Class: cause.Content, Note: "cannot be read: " + err.Error()})
}

// inside compares two components by what they hold.
func (w *walker) inside(a, b *component.Node, depth int) error {
	if depth > component.MaxDepth {
		return w.add(Finding{Class: cause.Content, Note: "too deep to be opened"})
	}
	if a.Name == kernelName && a.Content != nil && b.Content != nil {
		if done, err := w.kernel(a, b, depth); done || err != nil {
			return err
		}
	}
	ea, errA := a.Expand()
	eb, errB := b.Expand()
	if errA != nil || errB != nil {
		return w.broken(a, b, errA, errB)
	}
	if ea == nil && eb == nil {
		if a.Content == nil || b.Content == nil {
			return nil // a link or device: its attributes are all there is
		}
		return w.leaf(a, b)
	}
	if ea == nil || eb == nil || ea.Format != eb.Format {
		return w.add(Finding{Class: cause.Content, What: "format", A: formatOf(ea), B: formatOf(eb)})
	}
	if ea.Relate != nil {
		if err := ea.Relate(eb); err != nil {
			return w.failed(err)
		}
	}
	before := w.result.causes
	if ea.Owners != nil && eb.Owners != nil {
		if err := w.enter(ea, eb); err != nil {
			return err
		}
		defer w.leave()
	}
	if err := w.children(ea, eb, depth); err != nil {
		return err
	}
	if w.result.causes > before || !ea.Partial {
		return nil
	}
	return w.residual(a, b, ea, eb)
}

// kernelName is what a bzImage calls the kernel inside of it.
const kernelName = "vmlinux"

func formatOf(e *component.Expansion) string {
	if e == nil {
		return "none"
	}
	return e.Format
}

// broken compares what claims to be of a format that it breaks as bytes.
func (w *walker) broken(a, b *component.Node, errA, errB error) error {
	err := errA
	if err == nil {
		err = errB
	}
	if a.Content == nil || b.Content == nil {
		return w.failed(err)
	}
	before := len(w.result.Findings)
	if err := w.leaf(a, b); err != nil {
		return err
	}
	for n := before; n < len(w.result.Findings); n++ {
		w.result.Findings[n].Note = "compared as bytes: " + err.Error()
	}
	return nil
}

// enter notes which packages own what below, and which differ.
func (w *walker) enter(ea, eb *component.Expansion) error {
	oa, errA := ea.Owners()
	ob, errB := eb.Owners()
	if err := errors.Join(errA, errB); err != nil {
		if err := w.failed(err); err != nil {
			return err
		}
	}
	w.scopes = append(w.scopes, &scope{oa, ob})
	if oa == nil || ob == nil {
		return nil
	}
	for _, p := range oa.Packages() {
		if q, ok := ob.Package(p.Name, p.Architecture); !ok || q.Version != p.Version {
			w.result.versions = true
			if err := w.packageFinding(p, q); err != nil {
				return err
			}
		}
	}
	for _, q := range ob.Packages() {
		if _, ok := oa.Package(q.Name, q.Architecture); !ok {
			w.result.versions = true
			if err := w.packageFinding(dpkg.Package{}, q); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walker) leave() { w.scopes = w.scopes[:len(w.scopes)-1] }

func (w *walker) packageFinding(a, b dpkg.Package) error {
	o := Owner{Package: a.Name, Source: a.Source, VersionA: a.Version, VersionB: b.Version}
	if a.Name == "" {
		o.Package, o.Source = b.Name, b.Source
	}
	show := func(v string) string {
		if v == "" {
			return "not installed"
		}
		return v
	}
	return w.add(Finding{Class: cause.Version, What: "package " + o.Package, A: show(a.Version), B: show(b.Version), Owner: &o})
}

// attrs compares lists of attributes by key.
func (w *walker) attrs(a, b []component.Attr) error {
	find := func(list []component.Attr, key string) (component.Attr, bool) {
		for _, x := range list {
			if x.Key == key {
				return x, true
			}
		}
		return component.Attr{}, false
	}
	for _, x := range a {
		y, ok := find(b, x.Key)
		if ok && x.Value == y.Value {
			continue
		}
		class := x.Class
		if !ok {
			y.Value = "none"
		} else if y.Class.Rank() < class.Rank() {
			class = y.Class // follows from something on one side only
		}
		if err := w.add(Finding{Class: class, What: x.Key, A: short(x.Value), B: short(y.Value)}); err != nil {
			return err
		}
	}
	for _, y := range b {
		if _, ok := find(a, y.Key); !ok {
			if err := w.add(Finding{Class: y.Class, What: y.Key, A: "none", B: short(y.Value)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxShown bounds the length of a shown value in bytes.
const maxShown = 240

func short(s string) string {
	if len(s) > maxShown {
		return s[:maxShown] + fmt.Sprintf("… (%d bytes)", len(s))
	}
	return s
}

// children compares the children of the same name, tells those that have no
// partner, and whether the order is the same.
func (w *walker) children(ea, eb *component.Expansion, depth int) error {
	inB := make(map[string]*component.Node, len(eb.Children))
	for _, c := range eb.Children {
		inB[c.Name] = c
	}
	common := make(map[string]bool, len(ea.Children))
	known := ea.Known || eb.Known
	for _, c := range ea.Children {
		o := inB[c.Name]
		if o == nil {
			if known && c.Kind == component.Gap {
				continue // no manifest tells of gaps
			}
			if err := w.oneSide(c, "a"); err != nil {
				return err
			}
			continue
		}
		common[c.Name] = true
		if err := w.node(c, o, depth+1); err != nil {
			return err
		}
	}
	for _, c := range eb.Children {
		if !common[c.Name] && !(known && c.Kind == component.Gap) {
			if err := w.oneSide(c, "b"); err != nil {
				return err
			}
		}
	}
	if !ea.Ordered {
		return nil
	}
	return w.order(ea.Children, eb.Children, common)
}

func (w *walker) oneSide(c *component.Node, side string) error {
	defer w.push(c)()
	f := Finding{Class: cause.OneSide, Only: side}
	if c.Kind == component.Gap {
		f.Class = cause.Derived
	}
	if c.Class == cause.Signature || c.Class == cause.Certificate {
		f.Class, f.Note = c.Class, "on one side only"
	}
	if c.Content != nil {
		f.Changed = c.Content.Size()
	}
	return w.add(f)
}

// order compares the sequence of the names that both sides have.
func (w *walker) order(a, b []*component.Node, common map[string]bool) error {
	names := func(list []*component.Node) []string {
		var out []string
		for _, c := range list {
			if common[c.Name] {
				out = append(out, c.Name)
			}
		}
		return out
	}
	x, y := names(a), names(b)
	moved := int64(0)
	first := -1
	for n := range x {
		if x[n] != y[n] {
			if moved++; first < 0 {
				first = n
			}
		}
	}
	if moved == 0 {
		return nil
	}
	return w.add(Finding{
		Class: cause.Order, What: fmt.Sprintf("order of %d entries, from number %d on", moved, first+1),
		A: short(x[first]), B: short(y[first]), Changed: moved,
		Note: "the same names in another order",
	})
}
