package trace

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/verify"
)

// step is what the statements of a step say.
type step struct {
	// told has each of them.
	told []Built
	// products and inputs are digests by name, of the first statement.
	products, inputs map[string]string
	// fault says why the step does not count; empty if it does, or was not checked.
	fault string
}

// trusted reports whether the step's statements were checked, and count.
func (s *step) trusted() bool {
	return s.fault == "" && !slices.ContainsFunc(s.told, func(b Built) bool { return b.Signed == "" || b.Trust == NotInPolicy })
}

// listStatements finds the statements of each step in the release.
func listStatements(dir string) (map[string][]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open release: %w", err)
	}
	files := map[string][]string{}
	for _, e := range entries {
		if step, ok := verify.StatementStep(e.Name()); ok {
			files[step] = append(files[step], e.Name())
		}
	}
	return files, nil
}

// readSteps reads and checks the statements of steps that were not read yet.
func (r *Release) readSteps(names []string) error {
	var g errgroup.Group
	read := make([]*step, len(names))
	for i, name := range names {
		if read[i] = r.steps[name]; read[i] != nil {
			continue
		}
		g.Go(func() (err error) {
			read[i], err = r.readStep(name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, name := range names {
		r.steps[name] = read[i]
	}
	return nil
}

func (r *Release) readStep(name string) (*step, error) {
	s := &step{}
	for _, file := range r.statements[name] {
		e, err := bundle.Read(filepath.Join(r.dir, file))
		if err == nil {
			err = r.tell(s, file, e)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	switch {
	case r.evidence != nil:
		if err := r.evidence.Step(name); err != nil {
			// Where faults are told, the step is named.
			s.fault = strings.Replace(err.Error(), "step "+name+": ", "", 1)
		}
	case len(s.told) == 0:
		s.fault = "there is no statement of it"
	}
	return s, nil
}

// tell adds what a statement tells of its step.
func (r *Release) tell(s *step, file string, e *dsse.Envelope) error {
	st, err := statement.Parse(e.Payload)
	if err != nil {
		return err
	}
	p, err := provenance.Parse(st)
	if err != nil {
		return err
	}
	b := Built{Step: p.BuildDefinition.ExternalParameters.Step, Builder: p.RunDetails.Builder.ID, Bundle: file}
	if named, _ := verify.StatementStep(file); named != b.Step {
		return fmt.Errorf("it is about the step %s, its name says %q", b.Step, named)
	}
	if err := r.signer(&b, e); err != nil {
		return err
	}
	if s.told = append(s.told, b); len(s.told) == 1 {
		s.products, s.inputs = digests(st.Subject), digests(p.BuildDefinition.ResolvedDependencies)
	}
	return nil
}

func digests(list []statement.Descriptor) map[string]string {
	m := make(map[string]string, len(list))
	for i := range list {
		m[list[i].Name] = list[i].SHA256()
	}
	return m
}

// signer finds out who signed a statement, as far as keys and policy tell.
func (r *Release) signer(b *Built, e *dsse.Envelope) error {
	b.Trust = NotChecked
	if len(r.keys) > 0 {
		ids, err := e.Verify(r.keys, 1)
		if err != nil {
			return err
		}
		b.Signed = ids[0]
	}
	if r.policy == nil {
		return nil
	}
	b.Trust = NotInPolicy
	trusted := &r.policy.Statements
	if b.Signed == "" {
		ids, err := e.Verify(trusted.Keys, 1)
		if errors.Is(err, dsse.ErrSignature) {
			return nil
		}
		if err != nil {
			return err
		}
		b.Signed = ids[0]
	}
	if name, ok := trusted.Whose(b.Signed); ok {
		b.Trust, b.Organisation = InPolicy, name
	}
	return nil
}

// built finds the steps that had a part in a result, and what is wrong with their
// statements.
func (r *Release) built(result *Result) error {
	var w way
	var names []string
	products := map[string]string{}
	if result.Component != "" {
		w = r.way(result)
		if names = w.names(r.pipeline); len(names) == 0 {
			result.Faults = append(result.Faults, "the pipeline does not say how it gets into the image")
		}
	} else {
		var err error
		if names, err = r.makersOf(result, products); err != nil {
			return err
		}
	}
	document := r.makers(r.document.Name)
	if err := r.readSteps(slices.Concat(names, document)); err != nil {
		return err
	}
	r.vouch(result.Document, document)
	r.vouch(result.Released, names)
	result.Faults = append(result.Faults, r.bad(names)...)
	r.connect(result, &w, products)
	for _, name := range names {
		s := r.steps[name]
		if len(s.told) == 0 {
			result.Built = append(result.Built, r.missing(name))
		}
		for _, b := range s.told {
			b.Product = products[name]
			result.Built = append(result.Built, b)
		}
	}
	return nil
}

// bad says which of the steps do not count, and why; those with the same reason together.
func (r *Release) bad(names []string) []string {
	steps := map[string][]string{}
	var order []string
	for _, name := range names {
		fault := r.steps[name].fault
		if fault == "" {
			continue
		}
		if steps[fault] == nil {
			order = append(order, fault)
		}
		steps[fault] = append(steps[fault], name)
	}
	for i, fault := range order {
		order[i] = "step " + strings.Join(steps[fault], ", ") + ": " + fault
	}
	return order
}

// missing is a step of which there is no statement.
func (r *Release) missing(step string) Built {
	b := Built{Step: step, Trust: NotChecked}
	if r.policy != nil {
		b.Trust = NotInPolicy
	}
	return b
}

// connect holds the steps on the way against each other, and what the bill of materials
// was made of against them. It finds out which products are on the way.
func (r *Release) connect(result *Result, w *way, products map[string]string) {
	join := func(w *way, e pipeline.Edge) string {
		from, to := r.steps[e.From], r.steps[e.To]
		if len(from.told) == 0 || len(to.told) == 0 {
			return ""
		}
		used, faults := w.connect(e, from, to)
		result.Faults = append(result.Faults, faults...)
		return used
	}
	for _, e := range w.edges {
		if used := join(w, e); products[e.From] == "" {
			products[e.From] = used
		}
		if made := r.steps[e.To].products; len(made) == 1 {
			products[e.To] = slices.Collect(maps.Keys(made))[0]
		}
	}
	on := w.names(r.pipeline)
	for _, name := range r.makers(r.document.Name) {
		s, _ := r.pipeline.Step(name)
		for _, m := range s.Materials {
			if m.Required && slices.Contains(on, m.From) {
				join(&way{}, pipeline.Edge{Material: m, To: name})
			}
		}
	}
}

// makers are the steps that may make a file of the release; the lock and go.sum are
// files of the repository, under other names.
func (r *Release) makers(name string) []string {
	var list []string
	for _, s := range r.pipeline.Steps {
		if s.Makes(name) {
			list = append(list, s.Name)
		}
	}
	if list == nil {
		return []string{"source"}
	}
	return list
}

// makersOf finds the steps that made what was asked for, where it is in no part of the
// image.
func (r *Release) makersOf(result *Result, products map[string]string) ([]string, error) {
	switch {
	case result.step != "":
		return []string{result.step}, nil
	case result.Released != nil:
		return r.made(r.makers(result.Released.Name), result.SHA256, products)
	case result.SHA256 != "":
		return r.made(r.all(), result.SHA256, products)
	}
	return nil, nil
}

// all are the steps of the pipeline.
func (r *Release) all() []string {
	var names []string
	for _, s := range r.pipeline.Steps {
		names = append(names, s.Name)
	}
	return names
}

// made finds the steps that have a digest as a product, and what they call it.
func (r *Release) made(candidates []string, digest string, products map[string]string) ([]string, error) {
	var names []string
	for _, name := range candidates {
		has, err := r.has(name, digest)
		if err != nil {
			return nil, err
		}
		if !has {
			continue
		}
		if err := r.readSteps([]string{name}); err != nil {
			return nil, err
		}
		made := r.steps[name].products
		for _, product := range slices.Sorted(maps.Keys(made)) {
			if made[product] == digest {
				products[name] = product
				names = append(names, name)
				break
			}
		}
	}
	return names, nil
}

// has reports, without reading the statements, whether a step's may tell of a digest.
func (r *Release) has(step, digest string) (bool, error) {
	for _, file := range r.statements[step] {
		e, err := bundle.Read(filepath.Join(r.dir, file))
		if err != nil {
			return false, fmt.Errorf("%s: %w", file, err)
		}
		if bytes.Contains(e.Payload, []byte(digest)) {
			return true, nil
		}
	}
	return false, nil
}

// vouch looks among steps for a trusted statement that has the document as a product.
func (r *Release) vouch(d *Document, steps []string) {
	for _, name := range steps {
		if s := r.steps[name]; d != nil && d.Checked && s.trusted() && len(s.told) > 0 && slices.Contains(slices.Collect(maps.Values(s.products)), d.SHA256) {
			d.Statement = s.told[0].Bundle
		}
	}
}
