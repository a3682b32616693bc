package difference

import (
	"fmt"
	"iter"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
)

// residual explains two components whose parts are all equal while their
// bytes are not: the same things are stored in another way.
func (w *walker) residual(a, b *component.Node, ea, eb *component.Expansion) error {
	if a.Content == nil || b.Content == nil {
		return nil
	}
	if ea.Wraps || ea.Format == "bzimage" {
		return w.add(Finding{
			Class: cause.Compression, What: ea.Format, Note: "what is compressed is the same",
			A: fmt.Sprintf("%d bytes", a.Content.Size()), B: fmt.Sprintf("%d bytes", b.Content.Size()),
		})
	}
	if ea.Layout != nil && eb.Layout != nil {
		if found, err := w.layout(ea, eb); found || err != nil {
			return err
		}
	}
	before := len(w.result.Findings)
	if err := w.bytes(&component.Node{Kind: a.Kind, Content: a.Content}, &component.Node{Content: b.Content}); err != nil {
		return err
	}
	for n := before; n < len(w.result.Findings); n++ {
		if f := &w.result.Findings[n]; f.Note == "" {
			f.Note = "all parts are equal; the bytes lie outside of them"
		}
	}
	return nil
}

// layoutClasses from cause to consequence: what is compressed otherwise also
// lies elsewhere.
var layoutClasses = []cause.Class{cause.Compression, cause.Layout, cause.Order}

// layout compares how the files of two equal trees are stored, and tells the
// first and the number of differences of the class that causes the others.
func (w *walker) layout(ea, eb *component.Expansion) (found bool, err error) {
	type tally struct {
		first Finding
		count int64
	}
	tallies := map[cause.Class]*tally{}
	next, stop := iter.Pull(items(eb.Layout))
	defer stop()
	for x := range items(ea.Layout) {
		y, ok := next()
		if err := w.ctx.Err(); err != nil {
			return false, err
		}
		if x.err != nil || !ok || y.err != nil || x.item.Path != y.item.Path {
			break
		}
		for n, p := range x.item.Attrs {
			q := y.item.Attrs[n]
			if p.Value == q.Value {
				continue
			}
			t := tallies[p.Class]
			if t == nil {
				t = &tally{first: Finding{
					Class: p.Class, What: p.Key + " of " + x.item.Path, A: short(p.Value), B: short(q.Value),
				}}
				tallies[p.Class] = t
			}
			t.count++
		}
	}
	for _, c := range layoutClasses {
		if t := tallies[c]; t != nil {
			t.first.Note = fmt.Sprintf("all files are equal; %d are stored otherwise, this is the first", t.count)
			return true, w.add(t.first)
		}
	}
	return false, nil
}

type itemOrError struct {
	item component.LayoutItem
	err  error
}

// items makes a sequence of a layout; an error is its last element.
func items(layout func(func(component.LayoutItem) bool) error) iter.Seq[itemOrError] {
	return func(yield func(itemOrError) bool) {
		more := true
		err := layout(func(i component.LayoutItem) bool {
			more = yield(itemOrError{item: i})
			return more
		})
		if err != nil && more {
			yield(itemOrError{err: err})
		}
	}
}
