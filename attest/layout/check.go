package layout

import (
	"crypto"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
)

// ErrRules: the layout is one that nothing may rest on.
var ErrRules = errors.New("layout breaks our rules")

// ErrPipeline: the layout is not one of the pipeline that was asked for.
var ErrPipeline = errors.New("layout is not of this pipeline")

// maxSteps is the most steps of a layout.
const maxSteps = 256

// check holds a layout against the rules of the package documentation.
func check(l *in_toto.Layout) error {
	switch {
	case l.Type != "layout":
		return fmt.Errorf("%w: _type is %.40q", ErrRules, l.Type)
	case len(l.Inspect) > 0:
		return fmt.Errorf("%w: it has inspections, which would run commands here", ErrRules)
	case len(l.RootCas) > 0 || len(l.IntermediateCas) > 0:
		return fmt.Errorf("%w: it trusts certificate authorities", ErrRules)
	case len(l.Steps) == 0 || len(l.Steps) > maxSteps:
		return fmt.Errorf("%w: it has %d steps", ErrRules, len(l.Steps))
	}
	if err := checkKeys(l); err != nil {
		return err
	}
	names := map[string]bool{}
	for i := range l.Steps {
		s := &l.Steps[i]
		if err := provenance.CheckStep(s.Name); err != nil {
			return fmt.Errorf("%w: %w", ErrRules, err)
		}
		if names[s.Name] {
			return fmt.Errorf("%w: two steps are called %s", ErrRules, s.Name)
		}
		names[s.Name] = true
		if err := checkStep(l, s); err != nil {
			return fmt.Errorf("%w: step %s: %w", ErrRules, s.Name, err)
		}
	}
	for _, s := range l.Steps {
		if from, ok := unknownSource(s, names); ok {
			return fmt.Errorf("%w: step %s matches products of %q, which is no step", ErrRules, s.Name, from)
		}
	}
	return nil
}

// checkPipeline wants the steps of a layout and their rules to be those that [New]
// makes of the pipeline, as far as the layout has its optional steps.
func checkPipeline(l *in_toto.Layout, p *pipeline.Pipeline) error {
	if p == nil {
		return fmt.Errorf("%w: none was named", ErrPipeline)
	}
	steps := map[string]*in_toto.Step{}
	var names []string
	for i := range l.Steps {
		steps[l.Steps[i].Name] = &l.Steps[i]
		names = append(names, l.Steps[i].Name)
	}
	part, err := p.Of(names)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPipeline, err)
	}
	for _, want := range part.Steps {
		for _, side := range []struct {
			what      string
			has, made [][]string
		}{
			{"materials", steps[want.Name].ExpectedMaterials, materialRules(want)},
			{"products", steps[want.Name].ExpectedProducts, productRules(want)},
		} {
			if !reflect.DeepEqual(side.has, side.made) {
				return fmt.Errorf("%w: step %s: expected %s: %s", ErrPipeline, want.Name, side.what, firstOther(side.has, side.made))
			}
		}
	}
	return nil
}

// firstOther tells where two lists of rules part.
func firstOther(has, want [][]string) string {
	for i, r := range has {
		switch {
		case i >= len(want):
			return fmt.Sprintf("%q is a rule too much", strings.Join(r, " "))
		case !slices.Equal(r, want[i]):
			return fmt.Sprintf("%q stands in the place of %q", strings.Join(r, " "), strings.Join(want[i], " "))
		}
	}
	return fmt.Sprintf("%d rules, and %d are wanted", len(has), len(want))
}

// checkKeys makes sure that each key stands in the layout once.
func checkKeys(l *in_toto.Layout) error {
	seen := map[string]string{}
	for id, k := range l.Keys {
		pub, err := public(k)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRules, err)
		}
		if id != k.KeyID {
			return fmt.Errorf("%w: key %.20s stands under the id %.20s", ErrRules, k.KeyID, id)
		}
		if other, twice := seen[string(pub)]; twice {
			return fmt.Errorf("%w: the ids %.20s and %.20s are of the same key", ErrRules, id, other)
		}
		seen[string(pub)] = id
	}
	return nil
}

// checkFunctionaries wants every key of a layout to be one of those whose links count.
func checkFunctionaries(l *in_toto.Layout, trusted []crypto.PublicKey) error {
	for _, id := range slices.Sorted(maps.Keys(l.Keys)) {
		pub, err := public(l.Keys[id])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRules, err)
		}
		if !slices.ContainsFunc(trusted, func(k crypto.PublicKey) bool { return pub.Equal(k) }) {
			return fmt.Errorf("%w: key %.20s", ErrStranger, id)
		}
	}
	return nil
}

func checkStep(l *in_toto.Layout, s *in_toto.Step) error {
	if s.Type != "step" {
		return fmt.Errorf("_type is %.40q", s.Type)
	}
	if len(s.CertificateConstraints) > 0 {
		return errors.New("it accepts certificates")
	}
	distinct := map[string]bool{}
	for _, id := range s.PubKeys {
		k, ok := l.Keys[id]
		if !ok {
			return fmt.Errorf("its key %.20s is not in the layout", id)
		}
		distinct[k.KeyVal.Public] = true
	}
	if s.Threshold < 1 {
		return fmt.Errorf("its threshold is %d; at least 1 is needed", s.Threshold)
	}
	if s.Threshold > len(distinct) {
		return fmt.Errorf("its threshold is %d, and it has %d distinct keys", s.Threshold, len(distinct))
	}
	if err := checkRules(s.ExpectedMaterials); err != nil {
		return fmt.Errorf("expected materials: %w", err)
	}
	if err := checkRules(s.ExpectedProducts); err != nil {
		return fmt.Errorf("expected products: %w", err)
	}
	return nil
}

// checkRules wants REQUIRE rules first and DISALLOW * last, and in between
// rules that the library understands.
func checkRules(rules [][]string) error {
	if len(rules) == 0 {
		return errors.New("no rule at all, which would allow everything")
	}
	last := rules[len(rules)-1]
	if len(last) != 2 || strings.ToUpper(last[0]) != "DISALLOW" || last[1] != "*" {
		return fmt.Errorf("the last rule is %q, not DISALLOW *", strings.Join(last, " "))
	}
	required := true
	for _, r := range rules {
		if len(r) == 0 {
			return errors.New("an empty rule")
		}
		parsed, err := in_toto.UnpackRule(r)
		if err != nil {
			return err
		}
		switch {
		case parsed["type"] == "require" && !required:
			return fmt.Errorf("%q stands after a rule that may have taken its file", strings.Join(r, " "))
		case parsed["type"] != "require":
			required = false
		}
		if p := parsed["pattern"]; strings.ContainsAny(p, "[]\\") || p == "" {
			return fmt.Errorf("pattern %q has more than * and ?", p)
		}
	}
	return nil
}

// unknownSource returns the step of a MATCH rule that does not exist, whose
// files would silently not be matched.
func unknownSource(s in_toto.Step, names map[string]bool) (string, bool) {
	for _, rules := range [][][]string{s.ExpectedMaterials, s.ExpectedProducts} {
		for _, r := range rules {
			parsed, err := in_toto.UnpackRule(r)
			if err == nil && parsed["type"] == "match" && !names[parsed["dstName"]] {
				return parsed["dstName"], true
			}
		}
	}
	return "", false
}
