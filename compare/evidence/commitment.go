package evidence

import (
	"fmt"

	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/compare/organisation"
)

// Types of the predicates: commitment-v1.md.
const (
	CommitmentType = "https://github.com/mastercard/mangos/blob/main/compare/evidence/commitment-v1.md"
	RevealType     = "https://github.com/mastercard/mangos/blob/main/compare/evidence/commitment-v1.md#reveal"
)

// maxSeen bounds the commitments that a reveal names.
const maxSeen = 10_000

// Commitment is the promise of a statement that is not shown yet.
type Commitment struct {
	Release, Organisation string
	// Build is the SHA-256 of the file build.sigstore.json.
	Build string
}

// Reveal tells what its author had seen when it revealed its statement.
type Reveal struct {
	Release, Organisation string
	// Build is the SHA-256 of the file build.sigstore.json.
	Build string
	// Seen maps organisations to the SHA-256 of their commitment.sigstore.json.
	Seen map[string]string
}

type commitmentPredicate struct {
	Release      string `json:"release"`
	Organisation string `json:"organisation"`
}

type revealPredicate struct {
	Release      string `json:"release"`
	Organisation string `json:"organisation"`
	Seen         []Item `json:"seen"`
}

// buildFile is the name of the one subject of both.
const buildFile = "build.sigstore.json"

func subject(digest string) []statement.Descriptor { return descriptors([]Item{{buildFile, digest}}) }

// Statement makes the statement to be signed.
func (c *Commitment) Statement() (*statement.Statement, error) {
	return statement.New(subject(c.Build), CommitmentType, commitmentPredicate{c.Release, c.Organisation})
}

// Statement makes the statement to be signed.
func (r *Reveal) Statement() (*statement.Statement, error) {
	p := revealPredicate{Release: r.Release, Organisation: r.Organisation, Seen: []Item{}}
	for _, id := range sortedKeys(r.Seen) {
		p.Seen = append(p.Seen, Item{id, r.Seen[id]})
	}
	return statement.New(subject(r.Build), RevealType, p)
}

// ParseCommitment reads a statement. Errors wrap [ErrInvalid].
func ParseCommitment(s *statement.Statement) (*Commitment, error) {
	var p commitmentPredicate
	digest, err := parsePromise(s, CommitmentType, &p)
	if err != nil {
		return nil, err
	}
	return &Commitment{p.Release, p.Organisation, digest}, nil
}

// ParseReveal reads a statement. Errors wrap [ErrInvalid].
func ParseReveal(s *statement.Statement) (*Reveal, error) {
	var p revealPredicate
	digest, err := parsePromise(s, RevealType, &p)
	if err != nil {
		return nil, err
	}
	r := &Reveal{p.Release, p.Organisation, digest, make(map[string]string, min(len(p.Seen), maxSeen))}
	if len(p.Seen) > maxSeen {
		return nil, fmt.Errorf("%w: a reveal that names %d commitments", ErrInvalid, len(p.Seen))
	}
	for _, i := range p.Seen {
		if err := organisation.CheckID(i.Name); err != nil {
			return nil, fmt.Errorf("%w: reveal: %w", ErrInvalid, err)
		}
		d := statement.Descriptor{Digest: map[string]string{"sha256": i.SHA256}}
		if err := d.Check(); err != nil || r.Seen[i.Name] != "" {
			return nil, fmt.Errorf("%w: reveal: the commitment of %q stands there twice, or without a digest", ErrInvalid, i.Name)
		}
		r.Seen[i.Name] = i.SHA256
	}
	return r, nil
}

func parsePromise(s *statement.Statement, kind string, predicate any) (digest string, err error) {
	if s.PredicateType != kind {
		return "", fmt.Errorf("%w: a statement of type %.120q instead of %q", ErrInvalid, s.PredicateType, kind)
	}
	if err := strictjson.Unmarshal(s.Predicate, predicate); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(s.Subject) != 1 || s.Subject[0].Name != buildFile {
		return "", fmt.Errorf("%w: its subject is not %s alone", ErrInvalid, buildFile)
	}
	return s.Subject[0].SHA256(), nil
}
