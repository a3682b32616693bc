package difference

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
)

// known compares two components of which at least one is known by what a
// manifest tells only.
func (w *walker) known(a, b *component.Node, depth int) error {
	before := w.result.all
	attrsA, errA := a.FieldAttrs()
	attrsB, errB := b.FieldAttrs()
	if err := errors.Join(errA, errB); err != nil {
		return w.failed(err)
	}
	if err := w.attrs(append(attrsA, a.Attrs...), append(attrsB, b.Attrs...)); err != nil {
		return err
	}
	x, err := identify(a)
	if err != nil {
		return w.failed(err)
	}
	y, err := identify(b)
	if err != nil {
		return w.failed(err)
	}
	if x == nil || y == nil {
		return w.add(Finding{Class: cause.Content, Note: "the evidence of one side does not describe it"})
	}
	if *x == *y {
		return nil
	}
	causes := w.result.causes
	ea, errA := a.Expand()
	eb, errB := b.Expand()
	if errA == nil && errB == nil && ea != nil && eb != nil && ea.Format == eb.Format {
		if ea.Owners != nil && eb.Owners != nil {
			if err := w.enter(ea, eb); err != nil {
				return err
			}
			defer w.leave()
		}
		if err := w.children(ea, eb, depth); err != nil || w.result.causes > causes {
			return err
		}
	} else if w.result.all > before && a.Kind == component.Structure {
		return nil // the fields tell all that differs
	}
	f := Finding{Class: cause.Content, What: "digest", A: hex.EncodeToString(x.SHA256[:]), B: hex.EncodeToString(y.SHA256[:])}
	if a.Class != "" {
		f.Class = a.Class
	}
	if x.Size != y.Size {
		f.What, f.A, f.B = "size", fmt.Sprint(x.Size), fmt.Sprint(y.Size)
	}
	f.Needs = needs(a, b)
	return w.add(f)
}

// needs says whose bytes would explain more, and which of them.
func needs(a, b *component.Node) string {
	side := "both sides"
	switch {
	case a.Content != nil:
		side = "side b"
	case b.Content != nil:
		side = "side a"
	}
	pieces := pieces(a, b)
	if len(pieces) == 0 {
		return "the bytes of " + side
	}
	return fmt.Sprintf("the bytes of %s, of this piece at least: %d to %d", side, pieces[0].Offset, pieces[0].End())
}

// pieces are the pieces of 1 MiB whose digests differ, where both sides know
// them.
func pieces(a, b *component.Node) []content.Range {
	if a.Known == nil || b.Known == nil {
		return nil
	}
	var list []content.Range
	for n := range min(len(a.Known.Pieces), len(b.Known.Pieces)) {
		if a.Known.Pieces[n] != b.Known.Pieces[n] {
			off := int64(n) * component.PieceSize
			list = append(list, content.Range{Offset: off, Length: min(component.PieceSize, a.Known.Size-off)})
		}
	}
	return list
}

// identity is what a digest stands for.
type identity struct {
	Size   int64
	SHA256 [32]byte
}

// identify is the identity of a component: as told, or computed from its
// bytes. nil if nobody tells it.
func identify(n *component.Node) (*identity, error) {
	if n.Known != nil {
		return &identity{n.Known.Size, n.Known.SHA256}, nil
	}
	if n.Content == nil {
		return nil, nil
	}
	sum, err := content.Digest(n.Content)
	if err != nil {
		return nil, err
	}
	return &identity{n.Content.Size(), sum}, nil
}
