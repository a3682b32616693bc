package verify

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/sbom"
)

// checkComplete makes sure that no step leaves out an input that it must have, as the
// pipeline says it (pipeline.Step.CheckInputs).
func checkComplete(all statements) (string, error) {
	part, err := pipeline.Standard().Of(slices.Collect(maps.Keys(all)))
	if err != nil {
		return "", err
	}
	made := func(step string) []string { return slices.Sorted(maps.Keys(all[step].products)) }
	for _, known := range part.Steps {
		if err := all[known.Name].checkInputs(&known, made); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d steps have all that the pipeline wants them to have", len(part.Steps)), nil
}

// checkInputs holds the inputs of a step against those that it must have.
func (s *step) checkInputs(known *pipeline.Step, made func(step string) []string) error {
	had := func(name string) bool {
		_, ok := s.inputs[name]
		return ok
	}
	if err := known.CheckInputs(had, made); err != nil {
		return fmt.Errorf("step %s: %w", s.name, err)
	}
	return nil
}

// deviceParts are the parts of the image that have programs of ours, by the steps that
// lay them there or list them.
var deviceParts = map[string][]string{
	"erofs": {"root"}, "initrd": {"initrd"}, "sbom": {"initrd", "root"}, "sbom-device": {"initrd", "root"},
}

// checkDevice makes sure that the programs of ours among the files of the image, which
// madeOf lists, are inputs of the steps that lay them there or list them, and no others;
// and that there were the Go modules that are linked into them.
func checkDevice(all statements, madeOf *sbom.Input) (string, error) {
	listed, count := all.devicePrograms(madeOf)
	for _, name := range slices.Sorted(maps.Keys(deviceParts)) {
		s := all[name]
		if s == nil {
			return "", fmt.Errorf("there is no statement of the step %s", name)
		}
		want := map[string]bool{}
		for _, part := range deviceParts[name] {
			maps.Copy(want, listed[part])
		}
		if err := s.checkDevice(want); err != nil {
			return "", fmt.Errorf("step %s: %w", name, err)
		}
	}
	linked, err := all.checkLinked(madeOf)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d programs in the image, with %d Go modules, are inputs of the steps that made it", count, linked), nil
}

// devicePrograms returns what steps call the programs of ours in each part of the image,
// and how many there are: the files that are, by their content, of the step "programs".
func (all statements) devicePrograms(madeOf *sbom.Input) (map[string]map[string]bool, int) {
	ours := map[string]bool{}
	for _, sum := range all.folder("programs", "program/") {
		ours[sum] = true
	}
	listed, count := map[string]map[string]bool{}, 0
	for _, c := range madeOf.Components {
		listed[c.Name] = map[string]bool{}
		for _, f := range c.Files {
			if ours[f.SHA256] && !f.Link {
				listed[c.Name][path.Join("device", c.Name, f.Path)] = true
				count++
			}
		}
	}
	return listed, count
}

// checkDevice wants the step to have these programs for the image, and no others.
func (s *step) checkDevice(want map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := s.inputs[name]; !ok {
			return fmt.Errorf("it does not have %s, which is in the image", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.inputs)) {
		if strings.HasPrefix(name, "device/") && !want[name] {
			return fmt.Errorf("it has %s, which is not in the image", name)
		}
	}
	return nil
}

// checkLinked wants the modules of the programs in the image to be products of the step
// "modules", and returns how many there are.
func (all statements) checkLinked(madeOf *sbom.Input) (int, error) {
	linked := map[string]bool{}
	for _, c := range madeOf.Components {
		for _, f := range c.Files {
			if f.Program == nil {
				continue
			}
			for _, m := range f.Program.Deps {
				if m.Replace != nil {
					m = m.Replace
				}
				name := "go/" + m.Path + "@" + m.Version + ".zip"
				if _, err := all.product("modules", name); err != nil {
					return 0, fmt.Errorf("/%s of the %s is linked with %s: %w", f.Path, c.Name, name, err)
				}
				linked[name] = true
			}
		}
	}
	return len(linked), nil
}
