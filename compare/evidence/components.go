package evidence

import (
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// steps are the components of the unsigned set: what is made of what, besides
// the inputs.
var steps = []lineage.Component{
	{Name: programsStep},
	{Name: "kernel", Products: []string{unsigned.Vmlinux, unsigned.BzImage, unsigned.Uname}},
	{Name: "root", Products: []string{unsigned.Root, unsigned.OSRelease}},
	{Name: "verity", Materials: []string{unsigned.Root}, Products: []string{unsigned.Tree, unsigned.RootHash}},
	{Name: "command-line", Materials: []string{unsigned.RootHash}, Products: []string{unsigned.CommandLine}},
	{Name: "initrd", Materials: []string{unsigned.CommandLine}, Products: []string{unsigned.Initrd}},
	{Name: "microcode", Products: []string{unsigned.Microcode}},
	{
		Name: "image", Products: []string{unsigned.UKI},
		Materials: []string{unsigned.BzImage, unsigned.Uname, unsigned.OSRelease, unsigned.CommandLine, unsigned.Initrd, unsigned.Microcode},
	},
}

// programsStep is the step that compiles the pipeline's own programs: every other step
// runs some of them.
const programsStep = "programs"

// Components are the components of an unsigned set, as far as it has them, each
// made from all inputs and with all programs.
func Components(inputs, artifacts []string) lineage.Lineage {
	have := func(name string) bool { return slices.Contains(artifacts, name) }
	programs := slices.DeleteFunc(slices.Clone(artifacts), not(isProgram))
	var list lineage.Lineage
	for _, s := range steps {
		c := lineage.Component{Name: s.Name, Materials: append([]string{}, inputs...)}
		c.Materials = append(c.Materials, slices.DeleteFunc(slices.Clone(s.Materials), not(have))...)
		c.Products = slices.DeleteFunc(slices.Clone(s.Products), not(have))
		switch s.Name {
		case programsStep:
			c.Products = programs
		case "root":
			c.Products = append(c.Products, slices.DeleteFunc(slices.Clone(artifacts), not(isPackage))...)
		}
		if s.Name != programsStep {
			c.Materials = append(c.Materials, programs...)
		}
		if len(c.Products) > 0 {
			list = append(list, c)
		}
	}
	return list
}

func not(f func(string) bool) func(string) bool { return func(s string) bool { return !f(s) } }

func isPackage(artifact string) bool { return strings.HasPrefix(artifact, PackagePrefix) }

func isProgram(artifact string) bool { return strings.HasPrefix(artifact, ProgramPrefix) }

// Programs are the artifacts of the steps of a release that are programs.
func Programs(steps lineage.Side) []Item {
	var list []Item
	for _, c := range steps.Lineage {
		if c.Name != programsStep {
			continue
		}
		for _, name := range c.Products {
			if isProgram(name) {
				list = append(list, Item{name, steps.Digest(name)})
			}
		}
	}
	return list
}

func names(list []Item) []string {
	out := make([]string, len(list))
	for n, i := range list {
		out[n] = i.Name
	}
	return out
}
