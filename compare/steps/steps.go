// Package steps reads from the attestations in a release which step of the pipeline
// made what from what. It believes what they say: whether they are signed by whom
// they should be is for attest verify to judge.
package steps

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/compare/lineage"
)

var (
	// ErrNone: a folder without attestations of steps.
	ErrNone = errors.New("no attestations of steps")
	// ErrContradiction: two steps that made the same thing, and not the same of it.
	ErrContradiction = errors.New("attestations contradict each other")
	// ErrLimit: more than is read.
	ErrLimit = errors.New("larger than the limit")
)

// Limits of what is read of a release.
const (
	maxFiles = 200
	maxFile  = 16 << 20 // bytes of an attestation
	maxNames = 200_000  // materials and products of all steps
)

// Read reads the steps of the release in a folder, in the pipeline's order.
func Read(folder string) (lineage.Side, error) {
	files, err := filepath.Glob(filepath.Join(escape(folder), "*"+bundle.Suffix))
	if err != nil {
		return lineage.Side{}, fmt.Errorf("read steps: %w", err)
	}
	if len(files) > maxFiles {
		return lineage.Side{}, fmt.Errorf("read steps of %s: %w: more than %d attestations", folder, ErrLimit, maxFiles)
	}
	r := newReader()
	for _, path := range files {
		if err := r.file(path); err != nil {
			return lineage.Side{}, fmt.Errorf("read steps: %s: %w", filepath.Base(path), err)
		}
	}
	if len(r.steps) == 0 {
		return lineage.Side{}, fmt.Errorf("read steps of %s: %w", folder, ErrNone)
	}
	order := map[string]int{}
	standard := pipeline.Standard()
	for i, s := range standard.Steps {
		order[s.Name] = i + 1
	}
	slices.SortStableFunc(r.steps, func(a, b lineage.Component) int { return cmp.Compare(order[a.Name], order[b.Name]) })
	r.materials(standard)
	return lineage.Side{Lineage: r.steps, Digest: func(name string) string { return r.digests[name] }}, nil
}

// escape makes a folder's name mean itself in a pattern.
func escape(folder string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(folder)
}

type reader struct {
	steps   lineage.Lineage
	used    map[string]*provenance.BuildDefinition // by step
	digests map[string]string
	names   int
}

func newReader() *reader {
	return &reader{digests: map[string]string{}, used: map[string]*provenance.BuildDefinition{}}
}

// file reads one attestation. One that is not of a step is left out.
func (r *reader) file(path string) error {
	f, err := content.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := content.ReadAll(f, maxFile)
	if err != nil {
		return err
	}
	e, err := bundle.Parse(data)
	if err != nil {
		return err
	}
	return r.parse(e.Payload)
}

func (r *reader) parse(payload []byte) error {
	s, err := statement.Parse(payload)
	if err != nil {
		return err
	}
	if s.PredicateType != provenance.PredicateType {
		return nil
	}
	p, err := provenance.Parse(s)
	if err != nil {
		return err
	}
	d := &p.BuildDefinition
	c := lineage.Component{Name: d.ExternalParameters.Step}
	if r.used[c.Name] != nil {
		return fmt.Errorf("%w: step %s is there twice", ErrContradiction, c.Name)
	}
	if r.names += len(d.ResolvedDependencies) + len(s.Subject); r.names > maxNames {
		return fmt.Errorf("%w: more than %d materials and products", ErrLimit, maxNames)
	}
	r.used[c.Name] = d
	for i := range s.Subject {
		name, digest := s.Subject[i].Name, s.Subject[i].SHA256()
		if known, ok := r.digests[name]; ok && known != digest {
			return fmt.Errorf("%w: %.100q has the digests %.12s and %.12s", ErrContradiction, name, known, digest)
		}
		r.digests[name] = digest
		c.Products = append(c.Products, name)
	}
	r.steps = append(r.steps, c)
	return nil
}

// materials fills in what the steps used, when all products are known. A step may
// have something else under the name of a product, or of another step's material:
// that gets a name of its own. What the pipeline puts elsewhere under another name
// keeps that of the product.
func (r *reader) materials(p *pipeline.Pipeline) {
	moved := map[string][]pipeline.Material{}
	for _, s := range p.Steps {
		moved[s.Name] = s.Materials
	}
	for n := range r.steps {
		c := &r.steps[n]
		d := r.used[c.Name]
		for i := range d.ResolvedDependencies {
			name, digest := d.ResolvedDependencies[i].Name, d.ResolvedDependencies[i].SHA256()
			for _, m := range moved[c.Name] {
				rest, inside := strings.CutPrefix(name, m.In+"/")
				if as := m.As + "/" + rest; m.In != "" && inside && r.digests[as] == digest {
					name = as
				}
			}
			if known, ok := r.digests[name]; ok && known != digest {
				name += " of " + c.Name
			}
			r.digests[name] = digest
			c.Materials = append(c.Materials, name)
		}
		if len(c.Materials) > 0 {
			c.Materials = append(c.Materials, r.choices(d)...)
		}
	}
}

// choices stand among the materials: what a step was told decides what it makes,
// too.
func (r *reader) choices(d *provenance.BuildDefinition) []string {
	of := " of " + d.ExternalParameters.Step
	values := map[string]string{command + of: fmt.Sprintf("%q", d.ExternalParameters.Command)}
	for name, value := range d.ExternalParameters.Parameters {
		values[parameter+" "+name+of] = value
	}
	if d.InternalParameters != nil {
		values[epoch+of] = fmt.Sprint(d.InternalParameters.SourceDateEpoch)
	}
	maps.Copy(r.digests, values)
	return slices.Sorted(maps.Keys(values))
}

// What a step was told is named "command of STEP", "epoch of STEP" or "parameter NAME
// of STEP"; its digest is the value itself.
const (
	command   = "command"
	epoch     = "epoch"
	parameter = "parameter"
)

// IsChoice tells the materials that are what the step was told.
func IsChoice(material, step string) bool {
	name, ok := strings.CutSuffix(material, " of "+step)
	return ok && (name == command || name == epoch || strings.HasPrefix(name, parameter+" "))
}
