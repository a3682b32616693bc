// Package verdict decides, from the evidence of several organisations and a
// reader's policy, whether a release was reproduced, by whom, and where not.
//
// It follows the rule that leaving out evidence must never turn a refusal into
// an approval: an artifact is reproduced because enough organisations agree,
// never because nobody disagrees. Dissent is fatal besides, and stays visible
// beside a threshold that is met.
//
// The verdict as JSON is described in verdict-1.schema.json.
package verdict

import (
	"errors"
	"time"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/machine"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/policy"
)

// Format is the value of the verdict's first key. It changes with the schema.
const Format = "mangos-verdict-1"

// Outcome is what is decided of the release as a whole.
type Outcome string

// The outcomes, the worst first: of several the first one counts.
const (
	// Differs: organisations with the same inputs have other results.
	Differs Outcome = "differs"
	// Unverified: some of the evidence does not verify.
	Unverified Outcome = "unverified"
	// OtherInputs: some builds were made from other inputs and are not
	// comparable.
	OtherInputs Outcome = "other-inputs"
	// Inconclusive: too few agree.
	Inconclusive Outcome = "inconclusive"
	// Reproduced: enough agree on everything, and nobody disagrees.
	Reproduced Outcome = "reproduced"
)

// ExitCode is what a program ends with.
func (o Outcome) ExitCode() int {
	switch o {
	case Reproduced:
		return 0
	case Differs:
		return 2
	case Unverified:
		return 4
	case OtherInputs:
		return 5
	}
	return 3
}

// ErrReleases: evidence of several releases, and no word on which is meant.
var ErrReleases = errors.New("evidence of several releases")

// Options say by what evidence is judged.
type Options struct {
	Registry *organisation.Registry
	Policy   *policy.Policy
	// Release is the one that is judged; it may be left empty where there is
	// evidence of one release only.
	Release string
	// At is the time at which ages are judged.
	At time.Time
}

// Verdict is the whole decision.
type Verdict struct {
	Format  string  `json:"format"`
	Release string  `json:"release"`
	At      string  `json:"at"` // RFC 3339, UTC
	Outcome Outcome `json:"outcome"`
	// ExitCode is the outcome as a number.
	ExitCode int `json:"exitCode"`
	// Reasons are sentences that say why it is not reproduced.
	Reasons []string `json:"reasons"`
	// Policy and Organisations are the SHA-256 of the reader's files.
	Policy        string `json:"policy"`
	Organisations string `json:"organisations"`
	// Evidence is what every folder came to, sorted by organisation.
	Evidence []Evidence `json:"evidence"`
	// Inputs are the groups of builds with the same inputs; the first one is
	// judged.
	Inputs    []Inputs   `json:"inputs"`
	Artifacts []Artifact `json:"artifacts"`
	// Splits are where groups of organisations part, held against the first.
	Splits []Split `json:"splits"`
	// Results are those that organisations signed of each other's builds.
	Results []Result `json:"results"`
	// Statements are all files that the verdict rests on.
	Statements []Statement `json:"statements"`

	verified []*evidence.Evidence
}

// Status says what one folder of evidence came to.
type Status string

// The states of evidence.
const (
	// Counted: verified, and made from the inputs that are judged.
	Counted Status = "counted"
	// NotComparable: verified, but made from other inputs.
	NotComparable Status = "not-comparable"
	// Committed: there is a commitment, and no build yet.
	Committed Status = "committed"
	// Refused: it does not verify.
	Refused Status = "refused"
	// Ignored: by an organisation that the reader does not know, and the policy
	// says to leave those out.
	Ignored Status = "ignored"
)

// Evidence is one organisation's.
type Evidence struct {
	Organisation string `json:"organisation"`
	// Name is the organisation's name in the reader's file.
	Name   string `json:"name,omitempty"`
	Place  string `json:"place"`
	Status Status `json:"status"`
	// Reason says why it is refused or ignored.
	Reason   string         `json:"reason,omitempty"`
	Key      string         `json:"key,omitempty"`
	Builder  string         `json:"builder,omitempty"`
	Finished string         `json:"finished,omitempty"`
	Inputs   string         `json:"inputs,omitempty"` // digest
	Machine  *machine.Facts `json:"machine,omitempty"`
	// HasCommitted and HasRevealed tell whether the statements are there.
	HasCommitted bool `json:"hasCommitted,omitempty"`
	HasRevealed  bool `json:"hasRevealed,omitempty"`
	// Before are those that revealed after this one had committed: it cannot
	// have copied from them.
	Before []string `json:"before,omitempty"`
	// After are those that it may have copied from.
	After []string `json:"after,omitempty"`
}

// Inputs are builds with the same inputs.
type Inputs struct {
	SHA256        string   `json:"sha256"`
	Organisations []string `json:"organisations"`
	// Differences are those from the first group; A is the first group's.
	Differences []evidence.InputDifference `json:"differences,omitempty"`
}

// Artifact is what is decided of one artifact.
type Artifact struct {
	Name      string  `json:"name"`
	Kind      string  `json:"kind"`
	Threshold int     `json:"threshold"`
	Outcome   Outcome `json:"outcome"`
	// Reason says why it is inconclusive.
	Reason string `json:"reason,omitempty"`
	// Clusters are the digests, those with the most votes first.
	Clusters []Cluster `json:"clusters"`
}

// Cluster is the organisations that have the same digest.
type Cluster struct {
	SHA256        string   `json:"sha256"`
	Organisations []string `json:"organisations"`
	// Votes are those that count: of which none can have copied from another
	// one, where the policy asks for that.
	Votes []string `json:"votes"`
}

// Split is where two groups of organisations part.
type Split struct {
	A []string `json:"a"`
	B []string `json:"b"`
	// Components are those that are not the same, the culprits first.
	Components []lineage.Outcome `json:"components"`
}

// Result is what an organisation signed of another's build.
type Result struct {
	By      string   `json:"by"`
	Of      string   `json:"of"`
	Verdict Outcome  `json:"verdict"` // reproduced, differs or other-inputs
	Differs []string `json:"differs,omitempty"`
	// Current tells that the other's build is the one judged here.
	Current bool `json:"current"`
}

// Statement is a file that the verdict rests on.
type Statement struct {
	Organisation string `json:"organisation"`
	File         string `json:"file"`
	Place        string `json:"place"`
	SHA256       string `json:"sha256"`
}

// Verified is the evidence that was verified, for who wants to look deeper.
func (v *Verdict) Verified() []*evidence.Evidence { return v.verified }
