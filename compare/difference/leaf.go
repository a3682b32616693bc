package difference

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
)

const (
	maxRuns   = 1000 // runs of bytes that are looked at
	keptRuns  = 16   // of those, how many are told
	joinGap   = 8    // equal bytes between two runs that are taken as one
	shownHex  = 24   // bytes shown of each side
	maxFields = 4096 // bytes of a fixed structure
)

// leaf compares two components that cannot be opened: as text if both are,
// else as bytes.
func (w *walker) leaf(a, b *component.Node) error {
	if a.Class == "" {
		if done, err := w.text(a.Content, b.Content); done || err != nil {
			return err
		}
	}
	return w.bytes(a, b)
}

func (w *walker) bytes(a, b *component.Node) error {
	f := Finding{Class: cause.Content}
	if a.Class != "" {
		f.Class = a.Class
	}
	if a.Kind == component.Gap {
		zeros, err := onlyZeros(a.Content, b.Content)
		if err != nil {
			return w.failed(err)
		}
		if zeros {
			f.Class, f.Note = cause.Derived, "zeros on both sides, only more of them"
		}
	}
	runs, changed, more, err := content.Differences(a.Content, b.Content, joinGap, maxRuns)
	if err != nil {
		return w.failed(err)
	}
	f.Changed = changed
	if x, y := a.Content.Size(), b.Content.Size(); x != y {
		f.What, f.A, f.B = "size", fmt.Sprint(x), fmt.Sprint(y)
		f.Changed += max(x, y) - min(x, y)
		if len(runs) == 0 {
			runs = []content.Range{{Offset: min(x, y), Length: max(x, y) - min(x, y)}}
		}
	}
	if more {
		f.Note = fmt.Sprintf("more than %d runs of bytes differ", maxRuns)
	}
	if f.Class == cause.Content && !more && f.What == "" {
		class, note, err := stringsClass(a.Content, b.Content, runs)
		if err != nil {
			return w.failed(err)
		}
		if class != "" {
			f.Class, f.Note = class, note
		}
	}
	if f.What == "" {
		f.A, f.B = hexAt(a.Content, runs[0]), hexAt(b.Content, runs[0])
	}
	f.Ranges = runs[:min(len(runs), keptRuns)]
	return w.add(f)
}

// onlyZeros reports whether both contents hold nothing but zeros.
func onlyZeros(a, b content.Content) (bool, error) {
	for _, c := range []content.Content{a, b} {
		at, err := content.FirstDifference(c, content.Zeros(c.Size()))
		if err != nil || at >= 0 {
			return false, err
		}
	}
	return true, nil
}

// hexAt shows the first bytes of a run.
func hexAt(c content.Content, r content.Range) string {
	b := make([]byte, min(r.Length, shownHex))
	if content.ReadFull(c, b, r.Offset) != nil {
		return ""
	}
	s := hex.EncodeToString(b)
	if r.Length > shownHex {
		s += "…"
	}
	return s
}

// fields compares a fixed structure field by field, and what no field covers
// as bytes.
func (w *walker) fields(a, b *component.Node) error {
	x, errA := content.ReadAll(a.Content, max(maxFields, 64<<10))
	y, errB := content.ReadAll(b.Content, max(maxFields, 64<<10))
	if errA != nil || errB != nil || len(x) != len(y) {
		return w.bytes(a, b)
	}
	for _, f := range a.Fields {
		if f.Offset < 0 || f.End() > int64(len(x)) {
			continue
		}
		p, q := x[f.Offset:f.End()], y[f.Offset:f.End()]
		if bytes.Equal(p, q) {
			continue
		}
		err := w.add(Finding{
			Class: f.Class, What: f.Name, A: component.ShowField(f.Show, p), B: component.ShowField(f.Show, q),
			Ranges: []content.Range{f.Range}, Changed: int64(len(p)),
		})
		if err != nil {
			return err
		}
		copy(q, p) // told; what is left is compared as bytes
	}
	if bytes.Equal(x, y) {
		return nil
	}
	rest := component.Node{Kind: a.Kind, Name: a.Name, Class: a.Class, Content: content.Bytes(x)}
	other := rest
	other.Content = content.Bytes(y)
	return w.bytes(&rest, &other)
}
