// Package policy reads policy.json: what a reader asks of the evidence for a
// release before it counts as reproduced.
//
//	{"format": "mangos-policy-1",
//	 "thresholds": {"default": 2, "kernel": 3},
//	 "required": ["example-bank"],
//	 "maxAgeDays": 365,
//	 "commitment": "required",
//	 "unknownOrganisations": "refuse"}
package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/compare/organisation"
)

// Format is the value of the file's first key.
const Format = "mangos-policy-1"

// MaxSize is the size in bytes of the largest policy that is read.
const MaxSize = 1 << 20

// ErrInvalid: not a policy as the package documentation describes it.
var ErrInvalid = errors.New("invalid policy")

// Default is the kind whose threshold counts for kinds without one.
const Default = "default"

// Kinds are the kinds of artifacts that may have a threshold of their own.
var Kinds = []string{"root", "kernel", "initrd", "image", "package", "other"}

// What a policy says of votes without proof that they were not copied.
const (
	// Required: a vote counts only beside those that it can be shown not to be
	// copied from.
	Required = "required"
	// Shown: it counts, and the verdict says so.
	Shown = "shown"
)

// What a policy says of evidence by organisations that are not registered.
const (
	Refuse = "refuse" // it is evidence that does not verify
	Ignore = "ignore" // it is listed, and changes nothing
)

// Policy is the whole file.
type Policy struct {
	// Thresholds tell by kind how many organisations must agree.
	Thresholds map[string]int
	// Required organisations must be among those that agree.
	Required []string
	// MaxAge bounds the age of a statement; 0 means no bound.
	MaxAge time.Duration
	// Commitment is [Required] or [Shown].
	Commitment string
	// Unknown is [Refuse] or [Ignore].
	Unknown string
	// SHA256 is the digest of the file, hexadecimal.
	SHA256 string
}

// Load reads the policy in the file at path.
func Load(path string) (*Policy, error) {
	f, err := content.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	defer f.Close()
	data, err := content.ReadAll(f, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", path, err)
	}
	p, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", path, err)
	}
	return p, nil
}

// Parse reads a policy. Errors wrap [ErrInvalid].
func Parse(data []byte) (*Policy, error) {
	var file struct {
		Format     string         `json:"format"`
		Thresholds map[string]int `json:"thresholds"`
		Required   []string       `json:"required"`
		MaxAgeDays int            `json:"maxAgeDays"`
		Commitment string         `json:"commitment"`
		Unknown    string         `json:"unknownOrganisations"`
	}
	if err := strictjson.UnmarshalKnown(data, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if file.Format != Format {
		return nil, fmt.Errorf("%w: format is %.60q, this program reads %q", ErrInvalid, file.Format, Format)
	}
	sum := sha256.Sum256(data)
	p := &Policy{
		Thresholds: file.Thresholds, Required: file.Required, SHA256: hex.EncodeToString(sum[:]),
		MaxAge:     time.Duration(file.MaxAgeDays) * 24 * time.Hour,
		Commitment: orDefault(file.Commitment, Required), Unknown: orDefault(file.Unknown, Refuse),
	}
	if file.MaxAgeDays < 0 || file.MaxAgeDays > 36500 {
		return nil, fmt.Errorf("%w: maxAgeDays is %d", ErrInvalid, file.MaxAgeDays)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return p, nil
}

func orDefault(value, or string) string {
	if value == "" {
		return or
	}
	return value
}

func (p *Policy) check() error {
	if p.Thresholds[Default] == 0 {
		return fmt.Errorf("thresholds: no %q: say how many organisations must agree", Default)
	}
	for kind, n := range p.Thresholds {
		if kind != Default && !slices.Contains(Kinds, kind) {
			return fmt.Errorf("thresholds: no kind %.60q; the kinds are %q", kind, Kinds)
		}
		if n < 1 || n > 10_000 {
			return fmt.Errorf("thresholds: %s: %d organisations; at least 1 is needed", kind, n)
		}
	}
	seen := map[string]bool{}
	for _, id := range p.Required {
		if err := organisation.CheckID(id); err != nil {
			return fmt.Errorf("required: %w", err)
		}
		if seen[id] {
			return fmt.Errorf("required: %q stands there twice", id)
		}
		seen[id] = true
	}
	if p.Commitment != Required && p.Commitment != Shown {
		return fmt.Errorf("commitment is %.60q: it is %q or %q", p.Commitment, Required, Shown)
	}
	if p.Unknown != Refuse && p.Unknown != Ignore {
		return fmt.Errorf("unknownOrganisations is %.60q: it is %q or %q", p.Unknown, Refuse, Ignore)
	}
	return nil
}

// Threshold is how many organisations must agree on an artifact of the kind.
func (p *Policy) Threshold(kind string) int {
	if n, ok := p.Thresholds[kind]; ok {
		return n
	}
	return p.Thresholds[Default]
}

// CheckAgainst refuses a policy that the registry can never meet: one that
// requires an organisation that is not registered, or more than there are.
func (p *Policy) CheckAgainst(r *organisation.Registry) error {
	for _, id := range p.Required {
		if r.Find(id) == nil {
			return fmt.Errorf("%w: it requires %q, which is not in the organisations file", ErrInvalid, id)
		}
	}
	for kind, n := range p.Thresholds {
		if n > len(r.Organisations) {
			return fmt.Errorf("%w: %d organisations must agree on %q, and the organisations file lists %d", ErrInvalid, n, kind, len(r.Organisations))
		}
	}
	return nil
}
