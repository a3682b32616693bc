package verify

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
)

type descriptor = statement.Descriptor

// step is what the statements of one step say.
type step struct {
	name       string
	files      []string // of the statements
	voters     map[string]bool
	cached     bool // one of them had content of earlier runs
	products   map[string]descriptor
	inputs     map[string]descriptor
	definition provenance.BuildDefinition
}

// statements are the steps of a release by their names.
type statements map[string]*step

// reading is what statements are held against while they are read.
type reading struct {
	trust    *policy.Statements
	at       time.Time           // nothing was made later
	builders map[string]vouching // by the ids of keys
}

// vouching is in whose name a key signed, and where it did first.
type vouching struct{ builder, file string }

// readStatements verifies every statement among the files and puts those of a
// step together. Nothing may have been made after the time at.
func readStatements(r *folder, trust *policy.Statements, at time.Time) (statements, error) {
	all, reading := statements{}, &reading{trust, at, map[string]vouching{}}
	for _, name := range r.names {
		if !strings.HasSuffix(name, bundle.Suffix) {
			continue
		}
		if err := all.add(r, name, reading); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no statement")
	}
	for _, s := range all.sorted() {
		if len(s.voters) < trust.Threshold {
			return nil, fmt.Errorf("step %s: %d trusted keys signed its statement, %d are needed", s.name, len(s.voters), trust.Threshold)
		}
	}
	return all, nil
}

// add verifies one statement. A file that no trusted key signed is an error,
// even where others did.
func (all statements) add(r *folder, file string, reading *reading) error {
	data, err := r.small(file)
	if err != nil {
		return err
	}
	e, err := bundle.Parse(data)
	if err != nil {
		return err
	}
	if e.PayloadType != statement.PayloadType {
		return fmt.Errorf("payload type %.80q", e.PayloadType)
	}
	voters, err := e.Verify(reading.trust.Keys, 1)
	if err != nil {
		return err
	}
	st, err := statement.Parse(e.Payload)
	if err != nil {
		return err
	}
	p, err := provenance.Parse(st)
	if err != nil {
		return err
	}
	if err := checkDescriptors(st.Subject, p.BuildDefinition.ResolvedDependencies); err != nil {
		return err
	}
	s := &step{
		name: p.BuildDefinition.ExternalParameters.Step, files: []string{file}, voters: map[string]bool{},
		products: byName(st.Subject), inputs: byName(p.BuildDefinition.ResolvedDependencies), definition: p.BuildDefinition,
	}
	if err := s.check(file, p, reading.trust); err != nil {
		return err
	}
	if err := checkTimes(p.RunDetails.Metadata, reading.at); err != nil {
		return err
	}
	for _, v := range voters {
		if err := reading.vouch(v, vouching{p.RunDetails.Builder.ID, file}); err != nil {
			return err
		}
		s.voters[v] = true
	}
	return all.join(s)
}

// check holds a statement against the name of its file and the policy.
func (s *step) check(file string, p *provenance.Predicate, trust *policy.Statements) error {
	if named, ok := statementStep(file); !ok || named != s.name {
		return fmt.Errorf("it is about the step %s, its name says %q", s.name, named)
	}
	if !slices.Contains(trust.Builders, p.RunDetails.Builder.ID) {
		return fmt.Errorf("builder %q is not one that the policy names", p.RunDetails.Builder.ID)
	}
	in := p.BuildDefinition.InternalParameters
	s.cached = in != nil && len(in.Caches) > 0
	if s.cached && !trust.MayCache(s.name) {
		return fmt.Errorf("step %s had a cache (%s), which the policy does not allow", s.name, strings.Join(in.Caches, ", "))
	}
	return nil
}

// vouch notes in whose name a key signed a statement. It is the same in all of them.
func (r *reading) vouch(key string, v vouching) error {
	first, ok := r.builders[key]
	if ok && first.builder != v.builder {
		return fmt.Errorf("its builder is %q, and %q in %s by the same key", v.builder, first.builder, first.file)
	}
	if !ok {
		r.builders[key] = v
	}
	return nil
}

// skew is how far a builder's clock may be ahead.
const skew = 10 * time.Minute

// checkTimes wants a statement to say when its step ran: once it had begun it ended, and
// not in the future.
func checkTimes(m *provenance.Metadata, at time.Time) error {
	if m == nil {
		return errors.New("it does not say when its step ran")
	}
	started, err := time.Parse(time.RFC3339, m.StartedOn)
	if err != nil {
		return fmt.Errorf("its step began at %.40q, want a time", m.StartedOn)
	}
	finished, err := time.Parse(time.RFC3339, m.FinishedOn)
	if err != nil {
		return fmt.Errorf("its step ended at %.40q, want a time", m.FinishedOn)
	}
	switch {
	case finished.Before(started):
		return fmt.Errorf("its step ended at %s, before it began at %s", m.FinishedOn, m.StartedOn)
	case finished.After(at.Add(skew)):
		return fmt.Errorf("its step ended at %s, which is to come: now it is %s", m.FinishedOn, at.UTC().Format(time.RFC3339))
	}
	return nil
}

// join puts a statement beside others of its step. They must say the same: one
// that dissents is an error, not outvoted.
func (all statements) join(s *step) error {
	before, ok := all[s.name]
	if !ok {
		all[s.name] = s
		return nil
	}
	if !reflect.DeepEqual(before.products, s.products) || !reflect.DeepEqual(before.inputs, s.inputs) ||
		!reflect.DeepEqual(before.definition.ExternalParameters, s.definition.ExternalParameters) || before.epoch() != s.epoch() {
		return fmt.Errorf("it says something else of step %s than %s", s.name, before.files[0])
	}
	before.files = append(before.files, s.files...)
	maps.Copy(before.voters, s.voters)
	before.cached = before.cached || s.cached
	return nil
}

// statementStep returns the step that the name of a statement's file tells:
// NAME.STEP.sigstore.json, or NAME.STEP.KEYID8.sigstore.json where several
// organisations vouch for a step.
func statementStep(file string) (string, bool) {
	base, ok := strings.CutSuffix(file, bundle.Suffix)
	if !ok {
		return "", false
	}
	at := strings.LastIndexByte(base, '.')
	last := base[at+1:]
	if at < 0 {
		return "", false
	}
	if rest := base[:at]; len(last) == 8 && strings.Trim(last, "0123456789abcdef") == "" {
		if before := strings.LastIndexByte(rest, '.'); before >= 0 && provenance.CheckStep(rest[before+1:]) == nil {
			last = rest[before+1:]
		}
	}
	return last, provenance.CheckStep(last) == nil
}

// describe tells how many there are, and by whom.
func (all statements) describe(trust *policy.Statements) string {
	voters := map[string]bool{}
	for _, s := range all {
		maps.Copy(voters, s.voters)
	}
	return fmt.Sprintf("%d steps, by %d trusted keys, %d needed for each; %s", len(all), len(voters), trust.Threshold, all.describeCaches())
}

// describeCaches tells which steps had content of earlier runs.
func (all statements) describeCaches() string {
	var cached []string
	for _, s := range all.sorted() {
		if s.cached {
			cached = append(cached, s.name)
		}
	}
	if len(cached) == 0 {
		return "none had a cache"
	}
	return fmt.Sprintf("%d had a cache: %s", len(cached), strings.Join(cached, ", "))
}

func byName(list []statement.Descriptor) map[string]descriptor {
	m := make(map[string]descriptor, len(list))
	for _, d := range list {
		d.Annotations = nil // says what it was there for
		m[d.Name] = d
	}
	return m
}

// sorted are the steps in the order of their names.
func (all statements) sorted() []*step {
	return slices.SortedFunc(maps.Values(all), func(a, b *step) int { return strings.Compare(a.name, b.name) })
}

// product returns the digest that a step's product has.
func (all statements) product(step, name string) (string, error) {
	s, ok := all[step]
	if !ok {
		return "", fmt.Errorf("there is no statement of the step %s", step)
	}
	d, ok := s.products[name]
	if !ok {
		return "", fmt.Errorf("the step %s did not make %s", step, name)
	}
	return d.SHA256(), nil
}

// folder are the digests of what a step made in a folder, by the names in it.
func (all statements) folder(step, prefix string) map[string]string {
	digests := map[string]string{}
	if s, ok := all[step]; ok {
		for name, d := range s.products {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				digests[rest] = d.SHA256()
			}
		}
	}
	return digests
}
