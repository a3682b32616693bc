package trace

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
)

// stepName finds the steps that an origin names.
var stepName = regexp.MustCompile(`\bstep ([a-z0-9-]+)`)

// wanted is what to look for in statements.
type wanted struct {
	// digests maps what a step may have made to a test of its name, nil for any.
	digests map[string]func(name string) bool
	// steps count without a product.
	steps []string
}

// wants says which statements tell of a result.
func (r *Release) wants(result *Result) (wanted, error) {
	w := wanted{digests: map[string]func(string) bool{r.document.SHA256: nil}}
	for _, m := range stepName.FindAllStringSubmatch(result.Origin, -1) {
		w.steps = append(w.steps, m[1])
	}
	if p := result.Package; p != nil {
		w.digests[p.SHA256] = nil
	}
	// The content of a file may be that of many: only what is a product by itself
	// is looked for, and what is in the repository, by its name there.
	switch {
	case result.Program != nil, result.Component == "kernel", result.Component == "":
		w.digests[result.SHA256] = nil
	case slices.Contains(w.steps, "source"):
		suffix := "/" + result.Component + result.Path
		w.digests[result.SHA256] = func(name string) bool { return strings.HasSuffix(name, suffix) }
	}
	if result.Component != "" {
		c, err := r.index.Package(common.ElementID("component-" + result.Component))
		if err != nil || c == nil {
			return w, err
		}
		for _, sum := range c.PackageChecksums {
			w.digests[sum.Value] = nil
		}
	}
	delete(w.digests, "")
	return w, nil
}

// built finds the statements of the steps that had a part in a result.
func (r *Release) built(result *Result) error {
	names, err := filepath.Glob(filepath.Join(escape(r.dir), "*"+bundle.Suffix))
	if err != nil || len(names) == 0 {
		return err
	}
	w, err := r.wants(result)
	if err != nil {
		return err
	}
	for _, name := range names {
		e, err := bundle.Read(name)
		if err != nil {
			return err
		}
		if !w.mentioned(name, e) {
			continue
		}
		b, err := r.statement(e, w)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		if b != nil {
			b.Bundle = filepath.Base(name)
			result.Built = append(result.Built, b.Built)
			if !r.trusts(&b.Built) {
				continue
			}
			for _, d := range []*Document{result.Document, result.Released} {
				if d != nil && b.products[d.SHA256] {
					d.Statement = b.Bundle
				}
			}
		}
	}
	slices.SortFunc(result.Built, func(a, b Built) int { return strings.Compare(a.Step, b.Step) })
	return nil
}

// mentioned reports, without reading the statement, whether it may matter.
func (w *wanted) mentioned(name string, e *dsse.Envelope) bool {
	for _, step := range w.steps {
		if strings.HasSuffix(name, "."+step+bundle.Suffix) {
			return true
		}
	}
	for digest := range w.digests {
		if bytes.Contains(e.Payload, []byte(digest)) {
			return true
		}
	}
	return false
}

// trusts reports whether a statement that was held against the keys and the policy is
// signed as they want it.
func (r *Release) trusts(b *Built) bool {
	return b.Signed != "" && (r.policy == nil || b.Trust == InPolicy)
}

// told is what a statement tells, and the digests of all its products.
type told struct {
	Built
	products map[string]bool
}

// statement reads a statement; nil if its step has made nothing that is wanted.
func (r *Release) statement(e *dsse.Envelope, w wanted) (*told, error) {
	s, err := statement.Parse(e.Payload)
	if err != nil {
		return nil, err
	}
	if s.PredicateType != provenance.PredicateType {
		return nil, nil
	}
	p, err := provenance.Parse(s)
	if err != nil {
		return nil, err
	}
	b := &told{Built: Built{Step: p.BuildDefinition.ExternalParameters.Step, Builder: p.RunDetails.Builder.ID}, products: map[string]bool{}}
	for i := range s.Subject {
		digest := s.Subject[i].SHA256()
		b.products[digest] = true
		if test, ok := w.digests[digest]; b.Product == "" && ok && (test == nil || test(s.Subject[i].Name)) {
			b.Product = s.Subject[i].Name
		}
	}
	if b.Product == "" && !slices.Contains(w.steps, b.Step) {
		return nil, nil
	}
	return b, r.signer(&b.Built, e)
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
