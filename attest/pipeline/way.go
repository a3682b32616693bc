package pipeline

import (
	"slices"
	"strings"
)

// Edge is a material of the step To that carries files into the image.
type Edge struct {
	Material
	To string
}

// Way is how files get into the image that the steps from have made, or those of all
// steps if none is named: the materials that carry them, in the order of the steps that
// use them. They are files of a part of the image, PART, or PART:/PATH for one file.
func (p *Pipeline) Way(part string, from ...string) []Edge {
	reached := map[string]bool{}
	for _, step := range from {
		reached[step] = true
	}
	var way []Edge
	for _, s := range p.Steps {
		for _, m := range s.Materials {
			if m.carries(part) && (len(from) == 0 || reached[m.From]) {
				way = append(way, Edge{m, s.Name})
				reached[s.Name] = true
			}
		}
	}
	return way
}

// carries reports whether the material has files of a part.
func (m *Material) carries(part string) bool {
	name, _, one := strings.Cut(part, ":")
	return slices.ContainsFunc(m.Carries, func(c string) bool {
		whole, _, _ := strings.Cut(c, ":")
		return c == part || one && c == name || !one && whole == name
	})
}

// Source returns the product of the step From that a material of this name is; false if
// the material is not of this kind.
func (m *Material) Source(name string) (string, bool) {
	if m.In != "" {
		below, ok := strings.CutPrefix(name, m.In+"/")
		if !ok {
			return "", false
		}
		return m.As + "/" + below, match(m.Pattern, below)
	}
	return name, match(m.Pattern, name)
}

// match holds a name against a pattern, in which "*" stands for any characters.
func match(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// Makes reports whether the step may make a file of this name.
func (s *Step) Makes(name string) bool {
	return slices.ContainsFunc(s.Products, func(p Product) bool { return match(p.Pattern, name) })
}
