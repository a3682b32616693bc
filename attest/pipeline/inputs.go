package pipeline

import (
	"fmt"
	"path"
	"slices"
)

// Name is what the step calls a material whose Pattern is a name.
func (m *Material) Name() string { return path.Join(m.In, m.Pattern) }

// CheckInputs makes sure that a step had what it must have: its required materials, and
// where it has all products of another step, each of them. The function had tells of a
// name whether the step had it, made lists what another step made, of which there must be
// something; without made, nothing is known of other steps, and the required materials
// are all that is looked at.
func (s *Step) CheckInputs(had func(name string) bool, made func(step string) []string) error {
	for _, m := range s.Materials {
		if m.Required && !had(m.Name()) {
			return fmt.Errorf("it does not have %s", m.Name())
		}
		if !m.All || made == nil {
			continue
		}
		all := slices.DeleteFunc(made(m.From), func(name string) bool { return !m.has(name) })
		if len(all) == 0 {
			return fmt.Errorf("the step %s made no %s", m.From, m.Pattern)
		}
		for _, name := range all {
			if !had(name) {
				return fmt.Errorf("it does not have %s, which the step %s made", name, m.From)
			}
		}
	}
	return nil
}

// has reports whether the product is one that a step with all of them has.
func (m *Material) has(product string) bool {
	return match(m.Pattern, product) && !slices.ContainsFunc(m.But, func(but string) bool { return match(but, product) })
}
