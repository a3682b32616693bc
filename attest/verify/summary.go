package verify

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mastercard/mangos/attest/statement"
)

// SummaryType is the predicate type of a verification summary
// (slsa.dev/spec/v1.2/verification_summary).
const SummaryType = "https://slsa.dev/verification_summary/v1"

// Levels of a summary: SLSA's, as far as the evidence alone shows, and our own,
// which says that all checks of this package passed.
const (
	levelBuild    = "SLSA_BUILD_LEVEL_1"
	levelVerified = "MANGOS_RELEASE_VERIFIED"
	levelFailed   = "FAILED"
)

// Verifier is who verified, in whose name, and of what.
type Verifier struct {
	ID       string    // URI of who runs the verification
	Version  string    // of this program; empty where it does not know
	Resource string    // URI of the release
	Policy   string    // URI of the policy
	Time     time.Time // of the verification
}

type summary struct {
	Verifier struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version,omitempty"`
	} `json:"verifier"`
	TimeVerified       string                 `json:"timeVerified"`
	ResourceURI        string                 `json:"resourceUri"`
	Policy             statement.Descriptor   `json:"policy"`
	InputAttestations  []statement.Descriptor `json:"inputAttestations"`
	VerificationResult string                 `json:"verificationResult"`
	VerifiedLevels     []string               `json:"verifiedLevels"`
	// At is when the layout had to be in force and all steps have ended, which may be
	// long before TimeVerified. NotChecked is the report's. Both are extension fields, of
	// which the rules of in-toto's predicates want names that nobody else uses.
	At         string   `json:"mangos_at"`
	NotChecked []string `json:"mangos_notChecked"`
}

// Summary is the statement that a release was verified, or failed to be: its
// subjects are the files of the release, its inputs all signed evidence in it, as SLSA
// wants of a list that is not empty. What is signed within other files (partitions,
// programs, the Releases in the lock) goes by the digests of these, which are subjects.
// In the fields mangos_at and mangos_notChecked it says of what time the verdict is, and
// what it does not rest on, as the report does.
func (r *Report) Summary(v Verifier) (*statement.Statement, error) {
	var p summary
	p.Verifier.ID = v.ID
	if v.Version != "" {
		p.Verifier.Version = map[string]string{"mangos": v.Version}
	}
	p.TimeVerified = v.Time.UTC().Format(time.RFC3339)
	p.At, p.NotChecked = r.At, r.NotChecked
	p.ResourceURI = v.Resource
	p.Policy = statement.Descriptor{URI: v.Policy, Digest: map[string]string{"sha256": r.Policy}}
	p.VerificationResult, p.VerifiedLevels = "PASSED", []string{levelBuild, levelVerified}
	if !r.Verified {
		p.VerificationResult, p.VerifiedLevels = levelFailed, []string{levelFailed}
	}
	for _, uri := range []string{v.ID, v.Resource, v.Policy} {
		if err := statement.CheckURI(uri); err != nil {
			return nil, fmt.Errorf("verification summary: %w", err)
		}
	}
	for _, name := range r.Attestations {
		p.InputAttestations = append(p.InputAttestations, statement.Descriptor{Name: name, Digest: map[string]string{"sha256": r.Files[name]}})
	}
	var subjects []statement.Descriptor
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		if r.Files[name] == "" {
			continue // it could not be read, and so is nothing that was verified
		}
		subjects = append(subjects, statement.Descriptor{Name: name, Digest: map[string]string{"sha256": r.Files[name]}})
	}
	s, err := statement.New(subjects, SummaryType, p)
	if err != nil {
		return nil, fmt.Errorf("verification summary: %w", err)
	}
	return s, nil
}
