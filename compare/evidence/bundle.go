package evidence

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/statement"
)

// The files of an organisation's folder.
const (
	KeyFile        = "attest.pub"
	CommitmentFile = "commitment.sigstore.json"
	BuildFile      = buildFile
	RevealFile     = "reveal.sigstore.json"
	ResultsFile    = "results.sigstore.json"
)

// Limits of the files that are read, in bytes.
const (
	MaxBuild  = 16 << 20
	MaxBundle = 2 << 20 // of the others
)

// ErrSignature: a bundle that is not signed by the key it must be signed by.
var ErrSignature = errors.New("signature does not verify")

// Sign makes the text of a bundle: the statement, signed by key.
func Sign(s *statement.Statement, key crypto.Signer) ([]byte, error) {
	payload, err := s.Encode()
	if err != nil {
		return nil, err
	}
	e, err := dsse.Sign(statement.PayloadType, payload, key)
	if err != nil {
		return nil, err
	}
	return bundle.Encode(e, key.Public())
}

// open reads a bundle's text, checks that key signed it, and only then reads
// the statement in it.
func open(text []byte, key crypto.PublicKey) (*statement.Statement, error) {
	e, err := bundle.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := e.Verify([]crypto.PublicKey{key}, 1); err != nil {
		return nil, fmt.Errorf("%w: it was changed, or signed by another key than the one in %s", ErrSignature, KeyFile)
	}
	if e.PayloadType != statement.PayloadType {
		return nil, fmt.Errorf("%w: a payload of type %.100q", ErrInvalid, e.PayloadType)
	}
	s, err := statement.Parse(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return s, nil
}

// Digest is the SHA-256 of a text, as evidence names files.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
