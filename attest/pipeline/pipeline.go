// Package pipeline describes, as data, which steps a build consists of and
// which step's products each one may use. The in-toto layout of a release is
// made from it, and a release is verified against it. An extension that is built by
// itself has no layout (evidence.Extension).
package pipeline

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/strictjson"
)

// Organisation is the From of inputs that an organisation brings along, its
// certificates: they are nobody's product, and a policy names them.
const Organisation = "organisation"

// maxSize is the size in bytes of the largest description that is read.
const maxSize = 1 << 20

// ErrInvalid: a description that makes no sense.
var ErrInvalid = errors.New("invalid pipeline")

// Pipeline is the steps in the order in which they can run.
type Pipeline struct {
	Steps []Step `json:"steps"`
}

// Step is one step. An optional one may be missing in a build.
//
// Runs is how its command begins, in words with a blank between; without it the step
// has no command and names what is there. A sandbox, which stands before a "--", may
// have flags there. Dated tells that its products bear the time of the lock.
type Step struct {
	Name      string     `json:"name"`
	Runs      string     `json:"runs,omitempty"`
	Dated     bool       `json:"dated,omitempty"`
	What      string     `json:"what"`
	Optional  bool       `json:"optional,omitempty"`
	Materials []Material `json:"materials,omitempty"`
	Products  []Product  `json:"products"`
}

// Material allows a step to use the products of an earlier one (From) whose
// names match Pattern, in which "*" stands for any characters, "/" included.
// With Required, Pattern is a name that must be there. A step may also use its
// own products, found under other names: what it ran under must then be what
// it made.
//
// With All the step has every product of From that matches, but for those that one of
// the patterns But matches as well, which it may lack. See [Step.CheckInputs].
//
// With In and As, a material below the folder In is the product that has the
// same path below the folder As.
//
// Carries says of which parts of the image the material has the files, on their
// way into it: PART, or PART:/PATH for one file. See [Pipeline.Way].
type Material struct {
	Pattern  string   `json:"pattern"`
	From     string   `json:"from"`
	Required bool     `json:"required,omitempty"`
	All      bool     `json:"all,omitempty"`
	But      []string `json:"but,omitempty"`
	In       string   `json:"in,omitempty"`
	As       string   `json:"as,omitempty"`

	Carries []string `json:"carries,omitempty"`
}

// Product allows a step to make files; as in [Material].
type Product struct {
	Pattern  string `json:"pattern"`
	Required bool   `json:"required,omitempty"`
}

//go:embed pipeline.json
var standard []byte

// Standard is the pipeline of this repository, pipeline.json.
func Standard() *Pipeline {
	p, err := Parse(standard)
	if err != nil {
		panic(fmt.Sprintf("pipeline.json, which is part of this program: %v", err))
	}
	return p
}

// Load reads the description in the file at path.
func Load(path string) (*Pipeline, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load pipeline: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("load pipeline %s: %w", path, err)
	}
	p, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Parse reads a description. Errors wrap [ErrInvalid].
func Parse(data []byte) (*Pipeline, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("parse pipeline: %w: more than %d bytes", ErrInvalid, maxSize)
	}
	var p Pipeline
	if err := strictjson.UnmarshalKnown(data, &p); err != nil {
		return nil, fmt.Errorf("parse pipeline: %w: %w", ErrInvalid, err)
	}
	if len(p.Steps) == 0 {
		return nil, fmt.Errorf("parse pipeline: %w: no step", ErrInvalid)
	}
	earlier := map[string]bool{Organisation: true}
	for _, s := range p.Steps {
		if err := s.check(earlier); err != nil {
			return nil, fmt.Errorf("parse pipeline: %w: step %.80q: %w", ErrInvalid, s.Name, err)
		}
		earlier[s.Name] = true
	}
	return &p, nil
}

func (s *Step) check(earlier map[string]bool) error {
	if err := provenance.CheckStep(s.Name); err != nil {
		return err
	}
	if earlier[s.Name] {
		return errors.New("its name is taken")
	}
	if len(s.Products) == 0 {
		return errors.New("it makes nothing")
	}
	if words := strings.Fields(s.Runs); strings.Join(words, " ") != s.Runs || s.Runs != "" && words[len(words)-1] == end {
		return fmt.Errorf("%q is not the beginning of a command", s.Runs)
	}
	for _, m := range s.Materials {
		if !earlier[m.From] && m.From != s.Name {
			return fmt.Errorf("%q comes from %q, which is no earlier step", m.Pattern, m.From)
		}
		if m.Pattern == "" {
			return errors.New("an empty pattern")
		}
		if (m.In == "") != (m.As == "") || m.From == s.Name && m.In == "" {
			return fmt.Errorf("%q: in and as belong together, and to a step's own products", m.Pattern)
		}
		if m.All && (m.Required || m.In != "" || m.From == Organisation) || len(m.But) > 0 && !m.All {
			return fmt.Errorf("%q: all is of another step's products under their own names, and but of all", m.Pattern)
		}
		if slices.Contains(m.Carries, "") {
			return fmt.Errorf("%q carries files of a part without a name", m.Pattern)
		}
	}
	for _, p := range s.Products {
		if p.Pattern == "" {
			return errors.New("an empty pattern")
		}
	}
	return nil
}

// Step returns the step of that name.
func (p *Pipeline) Step(name string) (Step, bool) {
	for _, s := range p.Steps {
		if s.Name == name {
			return s, true
		}
	}
	return Step{}, false
}

// Of returns the pipeline as far as the named steps have it: a step that is
// missing must be optional, and nothing is taken from it.
func (p *Pipeline) Of(names []string) (*Pipeline, error) {
	there := map[string]bool{Organisation: true}
	for _, n := range names {
		if _, ok := p.Step(n); !ok {
			return nil, fmt.Errorf("pipeline: %w: there is no step %q", ErrInvalid, n)
		}
		if there[n] {
			return nil, fmt.Errorf("pipeline: %w: two steps %q", ErrInvalid, n)
		}
		there[n] = true
	}
	part := &Pipeline{}
	for _, s := range p.Steps {
		if !there[s.Name] && !s.Optional {
			return nil, fmt.Errorf("pipeline: %w: the step %q (%s) is missing", ErrInvalid, s.Name, s.What)
		}
		if !there[s.Name] {
			continue
		}
		var materials []Material
		for _, m := range s.Materials {
			if there[m.From] {
				materials = append(materials, m)
			}
		}
		s.Materials = materials
		part.Steps = append(part.Steps, s)
	}
	return part, nil
}
