// Package lineage knows which component of a build was made from which others,
// and finds where two builds part: at the first component whose materials are
// the same and whose products are not.
package lineage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mastercard/mangos/attest/provenance"
)

// ErrInvalid: components that make no sense.
var ErrInvalid = errors.New("invalid lineage")

const (
	maxComponents = 10_000
	maxNames      = 200_000 // materials and products of all
)

// Component is a step of the build. Materials and products are names of inputs
// and artifacts of the build that it is a part of.
type Component struct {
	Name      string   `json:"name"`
	Materials []string `json:"materials"`
	Products  []string `json:"products"`
}

// Lineage is the components of a build, each after those that it needs.
type Lineage []Component

// Check refuses components without products, two that make the same, and one
// that uses what is neither an input nor made before it. Errors wrap
// [ErrInvalid].
func (l Lineage) Check(isInput, isArtifact func(name string) bool) error {
	if len(l) > maxComponents {
		return fmt.Errorf("%w: %d components", ErrInvalid, len(l))
	}
	names := 0
	seen, made := map[string]bool{}, map[string]bool{}
	for _, c := range l {
		if err := provenance.CheckStep(c.Name); err != nil {
			return fmt.Errorf("%w: component: %w", ErrInvalid, err)
		}
		if names += len(c.Materials) + len(c.Products); names > maxNames || len(c.Products) == 0 || seen[c.Name] {
			return fmt.Errorf("%w: component %s stands there twice, makes nothing or is too large", ErrInvalid, c.Name)
		}
		seen[c.Name] = true
		for _, m := range c.Materials {
			if !made[m] && !isInput(m) {
				return fmt.Errorf("%w: component %s uses %.80q, which is no input and made by none before it", ErrInvalid, c.Name, m)
			}
		}
		for _, p := range c.Products {
			if !isArtifact(p) || made[p] {
				return fmt.Errorf("%w: component %s makes %.80q, which is no artifact or made by another", ErrInvalid, c.Name, p)
			}
			made[p] = true
		}
	}
	return nil
}

// Side is one build: its components, and the digest of each input and artifact.
type Side struct {
	Lineage Lineage
	Digest  func(name string) string
}

// State says how a component of two builds compares.
type State string

// The states of a component.
const (
	Same    State = "same"
	Culprit State = "culprit" // made from the same materials, and yet not the same
	Follows State = "follows" // its products differ, and so do its materials
	OneSide State = "one-side"
	Input   State = "input" // it is made from nothing, and differs: see Inputs
)

// Outcome is a component with its state.
type Outcome struct {
	Component string `json:"component"`
	State     State  `json:"state"`
	// Materials and Products are those that differ.
	Materials []string `json:"materials,omitempty"`
	Products  []string `json:"products,omitempty"`
}

// Compare lists the components of two builds in the order of a.
func Compare(a, b Side) []Outcome {
	inB := map[string]Component{}
	for _, c := range b.Lineage {
		inB[c.Name] = c
	}
	var list []Outcome
	for _, c := range a.Lineage {
		o, ok := inB[c.Name]
		if !ok {
			list = append(list, Outcome{Component: c.Name, State: OneSide})
			continue
		}
		delete(inB, c.Name)
		list = append(list, outcome(a, b, c, o))
	}
	for _, c := range b.Lineage {
		if _, left := inB[c.Name]; left {
			list = append(list, Outcome{Component: c.Name, State: OneSide})
		}
	}
	return list
}

func outcome(a, b Side, c, o Component) Outcome {
	result := Outcome{
		Component: c.Name, State: Same,
		Materials: differing(a, b, c.Materials, o.Materials),
		Products:  differing(a, b, c.Products, o.Products),
	}
	switch {
	case len(result.Products) == 0:
	case len(result.Materials) == 0:
		result.State = Culprit
	default:
		result.State = Follows
	}
	return result
}

// differing are the names that stand on one side only, or for other digests.
func differing(a, b Side, x, y []string) []string {
	var list []string
	inX, inY := set(x), set(y)
	for _, name := range x {
		if !inY[name] || a.Digest(name) != b.Digest(name) {
			list = append(list, name)
		}
	}
	for _, name := range y {
		if !inX[name] {
			list = append(list, name)
		}
	}
	return list
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, name := range list {
		m[name] = true
	}
	return m
}

// Inputs marks as [Input] those outcomes of components that have no materials on
// either side: in a lineage of all steps, what such a one makes went into the build.
func Inputs(list []Outcome, a, b Side) {
	made := map[string]bool{}
	for _, s := range []Side{a, b} {
		for _, c := range s.Lineage {
			made[c.Name] = made[c.Name] || len(c.Materials) > 0
		}
	}
	for n := range list {
		if list[n].State == Culprit && !made[list[n].Component] {
			list[n].State = Input
		}
	}
}

// Origins goes back from names that differ to where that began: to the components
// that made something else from the same, and to inputs that are not the same.
func Origins(list []Outcome, names ...string) (culprits, inputs []string) {
	maker := map[string]*Outcome{}
	for n := range list {
		for _, p := range list[n].Products {
			maker[p] = &list[n]
		}
	}
	seen := map[string]bool{}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		o := maker[name]
		switch {
		case o == nil || o.State == Input:
			inputs = append(inputs, name)
		case o.State == Culprit:
			if !slices.Contains(culprits, o.Component) {
				culprits = append(culprits, o.Component)
			}
		default:
			names = append(names, o.Materials...)
		}
	}
	return culprits, inputs
}

// WithoutInputs is the lineage without what is made by none of its components:
// to be compared with one whose inputs nobody knows.
func (l Lineage) WithoutInputs() Lineage {
	made := map[string]bool{}
	list := make(Lineage, 0, len(l))
	for _, c := range l {
		c.Materials = slices.DeleteFunc(slices.Clone(c.Materials), func(name string) bool { return !made[name] })
		for _, p := range c.Products {
			made[p] = true
		}
		list = append(list, c)
	}
	return list
}

// Culprits are the components at which the builds part.
func Culprits(list []Outcome) []Outcome {
	var found []Outcome
	for _, o := range list {
		if o.State == Culprit {
			found = append(found, o)
		}
	}
	return found
}
