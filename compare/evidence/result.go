package evidence

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/compare/organisation"
)

// ResultType is in-toto's test result, spec/predicates/test-result.md: the test
// is the rebuild of what others published.
const ResultType = "https://in-toto.io/attestation/test-result/v0.1"

// Result is what an organisation found when it held its build against that of
// another: a positive one says that all artifacts are the same.
type Result struct {
	// Organisation is whose build was rebuilt, Build the SHA-256 of its
	// build.sigstore.json.
	Organisation, Build string
	// Differs are the artifacts that came out otherwise.
	Differs []string
	// Inputs says that the two were not made from the same inputs.
	Inputs bool
}

// Results are an organisation's results for a release.
type Results struct {
	// Build is the SHA-256 of the organisation's own build.sigstore.json.
	Build string
	List  []Result
}

type resultPredicate struct {
	Result        string                 `json:"result"`
	Configuration []statement.Descriptor `json:"configuration"`
	PassedTests   []string               `json:"passedTests"`
	WarnedTests   []string               `json:"warnedTests"`
	FailedTests   []string               `json:"failedTests"`
	// Differs tells the artifacts by organisation.
	Differs map[string][]string `json:"mangos_differs,omitempty"`
}

// The results of the predicate.
const (
	passed = "PASSED"
	warned = "WARNED"
	failed = "FAILED"
)

// Hold compares a build with another organisation's, whose bundle has the given
// digest.
func (b *Build) Hold(other *Build, digest string) Result {
	r := Result{Organisation: other.Organisation, Build: digest, Inputs: b.InputsDigest() != other.InputsDigest()}
	for _, i := range b.Artifacts {
		if other.artifacts[i.Name] != i.SHA256 {
			r.Differs = append(r.Differs, i.Name)
		}
	}
	for _, i := range other.Artifacts {
		if b.artifacts[i.Name] == "" {
			r.Differs = append(r.Differs, i.Name)
		}
	}
	return r
}

// Statement makes the statement to be signed. Another organisation is a test
// that passed, failed, or, made from other inputs, only warns.
func (r *Results) Statement() (*statement.Statement, error) {
	slices.SortFunc(r.List, func(x, y Result) int { return cmp.Compare(x.Organisation, y.Organisation) })
	p := resultPredicate{
		Result: passed, Configuration: subject(r.Build),
		PassedTests: []string{}, WarnedTests: []string{}, FailedTests: []string{}, Differs: map[string][]string{},
	}
	var subjects []Item
	for _, x := range r.List {
		subjects = append(subjects, Item{x.Organisation, x.Build})
		switch {
		case x.Inputs:
			p.WarnedTests = append(p.WarnedTests, x.Organisation)
		case len(x.Differs) == 0:
			p.PassedTests = append(p.PassedTests, x.Organisation)
			continue
		default:
			p.FailedTests = append(p.FailedTests, x.Organisation)
		}
		p.Differs[x.Organisation] = x.Differs
	}
	switch {
	case len(p.FailedTests) > 0:
		p.Result = failed
	case len(p.WarnedTests) > 0:
		p.Result = warned
	}
	return statement.New(descriptors(subjects), ResultType, p)
}

// ParseResults reads a statement. Errors wrap [ErrInvalid].
func ParseResults(s *statement.Statement) (*Results, error) {
	if s.PredicateType != ResultType {
		return nil, fmt.Errorf("%w: a statement of type %.100q instead of %q", ErrInvalid, s.PredicateType, ResultType)
	}
	var p resultPredicate
	if err := strictjson.Unmarshal(s.Predicate, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(p.Configuration) != 1 || p.Configuration[0].SHA256() == "" {
		return nil, fmt.Errorf("%w: results name %d builds of their own, not one", ErrInvalid, len(p.Configuration))
	}
	if err := p.Configuration[0].Check(); err != nil {
		return nil, fmt.Errorf("%w: results: %w", ErrInvalid, err)
	}
	r := &Results{Build: p.Configuration[0].SHA256()}
	for i := range s.Subject {
		x := Result{Organisation: s.Subject[i].Name, Build: s.Subject[i].SHA256()}
		if err := organisation.CheckID(x.Organisation); err != nil {
			return nil, fmt.Errorf("%w: results: %w", ErrInvalid, err)
		}
		if !p.tell(&x) {
			return nil, fmt.Errorf("%w: results: nothing clear is said of %s", ErrInvalid, x.Organisation)
		}
		for _, name := range x.Differs {
			if err := statement.CheckName(name); err != nil {
				return nil, fmt.Errorf("%w: results: %w", ErrInvalid, err)
			}
		}
		r.List = append(r.List, x)
	}
	return r, nil
}

// tell fills in what the predicate says of an organisation: exactly one thing.
func (p *resultPredicate) tell(x *Result) bool {
	x.Differs = p.Differs[x.Organisation]
	x.Inputs = slices.Contains(p.WarnedTests, x.Organisation)
	pass, fail := slices.Contains(p.PassedTests, x.Organisation), slices.Contains(p.FailedTests, x.Organisation)
	switch {
	case x.Inputs:
		return !pass && !fail
	case pass:
		return !fail && len(x.Differs) == 0
	}
	return fail && len(x.Differs) > 0
}
