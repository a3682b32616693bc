package explanation

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/release"
	"github.com/mastercard/mangos/compare/side"
	"github.com/mastercard/mangos/compare/steps"
)

// Format is the value of an explanation's first key. It changes with the format.
const Format = "mangos-explanation-1"

// ErrPair: two sides that cannot be held against each other.
var ErrPair = errors.New("these two cannot be compared")

// Explanation is what a comparison of two sides found. Its texts come from what
// was compared: escape them before they are printed.
type Explanation struct {
	Format string `json:"format"`
	A      string `json:"a"`
	B      string `json:"b"`
	// Inputs are those that two builds do not have in common.
	Inputs []evidence.InputDifference `json:"inputs,omitempty"`
	// Components are those that are not the same, in the order of the build.
	Components []lineage.Outcome `json:"components,omitempty"`
	// Steps are those of the pipeline that are not the same, by the attestations
	// in both releases, in the order of the build.
	Steps []lineage.Outcome `json:"steps,omitempty"`
	// Choices are what steps were told, where it is not the same and has led to a
	// component that is not.
	Choices []Choice `json:"choices,omitempty"`
	// Artifacts are those of the components that were looked at, empty if all
	// there is was compared.
	Artifacts []string `json:"artifacts,omitempty"`
	// Notes say what could not be done.
	Notes []string `json:"notes,omitempty"`
	*difference.Result

	a, b *component.Node
}

// Choice is a command or parameter of a step that two releases do not have in common;
// A or B is empty where one of them lacks it.
type Choice struct {
	Step string `json:"step"`
	Name string `json:"name"`
	A    string `json:"a,omitempty"`
	B    string `json:"b,omitempty"`
}

// Options bound a comparison.
type Options struct {
	difference.Options
	// Everything compares all there is, where otherwise the first component with
	// the same materials and other products ends the search: it is the culprit.
	Everything bool
}

// Explain says where and why two sides differ.
func Explain(ctx context.Context, a, b *side.Side, o Options) (*Explanation, error) {
	x := &Explanation{Format: Format, A: a.Path, B: b.Path}
	na, nb, err := x.nodes(ctx, a, b, o.Everything)
	if err != nil {
		return nil, err
	}
	for _, s := range []*side.Side{a, b} {
		for _, err := range s.Problems {
			x.Notes = append(x.Notes, err.Error())
		}
	}
	nb.Name = na.Name
	x.a, x.b = na, nb
	if x.Result, err = difference.Compare(ctx, na, nb, o.Options); err != nil {
		return nil, err
	}
	return x, nil
}

// nodes finds what is to be compared.
func (x *Explanation) nodes(ctx context.Context, a, b *side.Side, everything bool) (na, nb *component.Node, err error) {
	whole := a.Whole() != nil && b.Whole() != nil
	if a.HasLineage() && b.HasLineage() {
		x.trace(a, b, whole, everything)
		if len(x.Artifacts) > 0 || !whole {
			return x.chosen(ctx, a, b)
		}
	}
	if whole {
		return a.Whole(), b.Whole(), nil
	}
	// A single artifact, and evidence that describes it by its name.
	for _, s := range [][2]*side.Side{{a, b}, {b, a}} {
		if file := s[0].Whole(); file != nil && file.Kind == component.Artifact && s[1].Evidence {
			name := filepath.Base(s[0].Path)
			list, err := s[1].Artifacts(ctx, []string{name})
			if err != nil {
				return nil, nil, err
			}
			e, err := list.Expand()
			if err != nil || len(e.Children) == 0 {
				return nil, nil, fmt.Errorf("%w: %s describes no artifact %q", ErrPair, s[1].Path, name)
			}
			if s[0] == a {
				return file, e.Children[0], nil
			}
			return e.Children[0], file, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: compare releases, artifacts of the same kind, or evidence", ErrPair)
}

// trace finds the components at which the two part, and with them the artifacts
// to look at.
func (x *Explanation) trace(a, b *side.Side, whole, everything bool) {
	la, lb := a.Lineage(), b.Lineage()
	if a.Build() != nil && b.Build() != nil {
		x.Inputs = evidence.DifferentInputs(a.Build(), b.Build())
	} else {
		la.Lineage, lb.Lineage = la.Lineage.WithoutInputs(), lb.Lineage.WithoutInputs()
	}
	for _, o := range lineage.Compare(la, lb) {
		if o.State != lineage.Same {
			x.Components = append(x.Components, o)
		}
	}
	x.traceSteps(a, b)
	look := lineage.Culprits(x.Components)
	if len(look) == 0 || everything {
		if whole {
			return // nothing to stop at
		}
		look = x.Components
	}
	for _, o := range look {
		x.Artifacts = append(x.Artifacts, o.Products...)
	}
	// A program is seen where it lies: in what was made with it.
	for _, o := range x.Components {
		if o.State == lineage.Follows && slices.ContainsFunc(o.Materials, func(name string) bool {
			return strings.HasPrefix(name, evidence.ProgramPrefix) && slices.Contains(x.Artifacts, name)
		}) {
			x.Artifacts = append(x.Artifacts, o.Products...)
		}
	}
}

// traceSteps follows what differs back through the attestations of both releases. A
// component of which they say that its steps had other inputs is no culprit.
func (x *Explanation) traceSteps(a, b *side.Side) {
	sa, sb := a.Steps(), b.Steps()
	if sa == nil || sb == nil {
		return
	}
	for _, o := range lineage.Compare(*sa, *sb) {
		// What an organisation signs, or brings along, may be another one.
		own := o.State == lineage.Culprit && !slices.ContainsFunc(o.Products, func(name string) bool { return !release.Signed(name) })
		if o.State != lineage.Same && !own {
			x.Steps = append(x.Steps, o)
		}
	}
	lineage.Inputs(x.Steps, *sa, *sb)
	var made []string
	for n := range x.Components {
		made = append(made, products(x.Steps, x.Components[n].Products)...)
	}
	_, inputs := lineage.Origins(x.Steps, made...)
	x.choices(inputs, *sa, *sb)
	for n := range x.Components {
		c := &x.Components[n]
		if c.State != lineage.Culprit {
			continue
		}
		if culprits, inputs := lineage.Origins(x.Steps, products(x.Steps, c.Products)...); len(culprits) == 0 && len(inputs) > 0 {
			c.State, c.Materials = lineage.Follows, inputs
		}
	}
}

// choices are those, among inputs that are not the same, that steps were told.
func (x *Explanation) choices(inputs []string, a, b lineage.Side) {
	for _, s := range x.Steps {
		for _, name := range inputs {
			if steps.IsChoice(name, s.Component) {
				x.Choices = append(x.Choices, Choice{Step: s.Component, Name: name, A: a.Digest(name), B: b.Digest(name)})
			}
		}
	}
}

// kernelFolder begins the names of the kernel's files in attestations.
const kernelFolder = "kernel/"

// products are artifacts by the names that steps give them, those that differ by
// what steps say.
func products(steps []lineage.Outcome, artifacts []string) []string {
	var names []string
	for _, o := range steps {
		for _, p := range o.Products {
			if slices.Contains(artifacts, strings.TrimPrefix(p, kernelFolder)) {
				names = append(names, p)
			}
		}
	}
	return names
}

// chosen are the artifacts of both sides. One that cannot be shown by both is
// noted.
func (x *Explanation) chosen(ctx context.Context, a, b *side.Side) (na, nb *component.Node, err error) {
	if na, err = a.Artifacts(ctx, x.Artifacts); err != nil {
		return nil, nil, err
	}
	if nb, err = b.Artifacts(ctx, x.Artifacts); err != nil {
		return nil, nil, err
	}
	ea, errA := na.Expand()
	eb, errB := nb.Expand()
	if err := errors.Join(errA, errB); err != nil {
		return nil, nil, err
	}
	var shown []string
	for _, name := range x.Artifacts {
		missing := ""
		switch inA, inB := ea.Find(name) != nil, eb.Find(name) != nil; {
		case inA && inB:
			shown = append(shown, name)
			continue
		case strings.HasPrefix(name, evidence.PackagePrefix), strings.HasPrefix(name, evidence.ProgramPrefix):
			continue // a part of root or initrd
		case inA:
			missing = b.Path + " does"
		case inB:
			missing = a.Path + " does"
		default:
			missing = "the two do"
		}
		x.Notes = append(x.Notes, fmt.Sprintf("%s differs, and %s not hold it", name, missing))
	}
	x.Artifacts = shown
	for _, e := range []*component.Expansion{ea, eb} {
		e.Children = slices.DeleteFunc(e.Children, func(n *component.Node) bool { return !slices.Contains(shown, n.Name) })
	}
	return na, nb, nil
}

// Compared are the components that were compared.
func (x *Explanation) Compared() (a, b *component.Node) { return x.a, x.b }

// OnlySigned reports whether all that differs belongs to what organisations sign.
func (x *Explanation) OnlySigned() bool { return x.Result.OnlySigned() && len(x.Components) == 0 }

// Same reports whether nothing differs, as far as is known.
func (x *Explanation) Same() bool { return x.Result.Same() && len(x.Components) == 0 }
