package verdict

import (
	"fmt"
	"net/url"

	"github.com/mastercard/mangos/attest/statement"
)

// VSAType is the predicate type of SLSA's Verification Summary Attestation
// (slsa.dev/spec/v1.2/verification_summary).
const VSAType = "https://slsa.dev/verification_summary/v1"

// verifier is the verifier.id: this package's documentation.
const verifier = "https://github.com/mastercard/mangos/blob/main/compare/verdict/verdict-1.schema.json"

type vsa struct {
	Verifier          identified             `json:"verifier"`
	TimeVerified      string                 `json:"timeVerified"`
	ResourceURI       string                 `json:"resourceUri"`
	Policy            statement.Descriptor   `json:"policy"`
	InputAttestations []statement.Descriptor `json:"inputAttestations"`
	Result            string                 `json:"verificationResult"`
	VerifiedLevels    []string               `json:"verifiedLevels"`
	SLSAVersion       string                 `json:"slsaVersion"`
}

type identified struct {
	ID string `json:"id"`
}

// VSA makes the statement that sums up the verdict. Its subjects are all
// artifacts; one that differs is there with each of its digests. Every file that
// the verdict rests on is listed.
func (v *Verdict) VSA() (*statement.Statement, error) {
	p := vsa{
		Verifier: identified{verifier}, TimeVerified: v.At, ResourceURI: "pkg:generic/" + url.PathEscape(v.Release),
		Policy: statement.Descriptor{URI: "urn:sha256:" + v.Policy, Digest: map[string]string{"sha256": v.Policy}},
		Result: "FAILED", VerifiedLevels: []string{}, SLSAVersion: "1.2", InputAttestations: []statement.Descriptor{},
	}
	if v.Outcome == Reproduced {
		p.Result = "PASSED"
		p.VerifiedLevels = append(p.VerifiedLevels, v.level())
	}
	for _, s := range v.Statements {
		p.InputAttestations = append(p.InputAttestations, statement.Descriptor{
			URI:    "urn:mangos:evidence:" + v.Release + ":" + s.Organisation + ":" + s.File,
			Digest: map[string]string{"sha256": s.SHA256},
		})
	}
	var subjects []statement.Descriptor
	for _, a := range v.Artifacts {
		for n, c := range a.Clusters {
			name := a.Name
			if n > 0 {
				name = fmt.Sprintf("%s (%s)", a.Name, c.Organisations[0])
			}
			subjects = append(subjects, statement.Descriptor{Name: name, Digest: map[string]string{"sha256": c.SHA256}})
		}
	}
	if len(subjects) == 0 {
		return nil, fmt.Errorf("verification summary: nothing was verified that it could be about")
	}
	return statement.New(subjects, VSAType, p)
}

// level is what all artifacts have in common: k of the n that built.
func (v *Verdict) level() string {
	fewest, all := 0, 0
	for n, a := range v.Artifacts {
		if votes := len(a.Clusters[0].Votes); n == 0 || votes < fewest {
			fewest = votes
		}
	}
	for _, e := range v.Evidence {
		if e.Status == Counted {
			all++
		}
	}
	return fmt.Sprintf("MANGOS_REPRODUCED_%d_OF_%d", fewest, all)
}
