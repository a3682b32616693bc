// Package organisation reads organisations.json: who may vote on a release, and
// by which keys. It is the reader's own file, never part of the evidence.
//
//	{"format": "mangos-organisations-1", "organisations": [
//	  {"id": "example-bank", "name": "Example Bank", "contact": "https://…",
//	   "keys": [{"sha256": "…", "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2028-01-01T00:00:00Z"}],
//	   "builders": ["https://…"]}]}
//
// A key is named by the SHA-256 of its SubjectPublicKeyInfo in DER, which is
// what `attest keys fingerprint` prints. A key stands in the file once: one key
// under two names would be two votes.
package organisation

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/compare/content"
)

// Format is the value of the file's first key.
const Format = "mangos-organisations-1"

// Limits of what is read.
const (
	MaxSize  = 4 << 20 // bytes of the file
	maxCount = 10_000  // organisations
	maxKeys  = 64      // of one organisation
	maxID    = 64      // bytes
	maxText  = 200     // bytes of a name
)

// Sentinels.
var (
	// ErrInvalid: not a registry as the package documentation describes it.
	ErrInvalid = errors.New("invalid organisations file")
	// ErrKey: a key that does not speak for the organisation (now).
	ErrKey = errors.New("key does not speak for the organisation")
)

// Registry is the whole file.
type Registry struct {
	Organisations []Organisation
	// SHA256 is the digest of the file, hexadecimal.
	SHA256 string

	byID  map[string]*Organisation
	byKey map[string]*Organisation
}

// Organisation is one voter.
type Organisation struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Contact string `json:"contact,omitempty"`
	Keys    []Key  `json:"keys"`
	// Builders are the builder ids that its statements may bear; none means any.
	Builders []string `json:"builders,omitempty"`
}

// Key is a key and the time for which it speaks.
type Key struct {
	SHA256    string     `json:"sha256"`
	NotBefore *time.Time `json:"notBefore,omitempty"`
	NotAfter  *time.Time `json:"notAfter,omitempty"`
}

// Load reads the registry in the file at path.
func Load(path string) (*Registry, error) {
	f, err := content.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read organisations: %w", err)
	}
	defer f.Close()
	data, err := content.ReadAll(f, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("read organisations %s: %w", path, err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read organisations %s: %w", path, err)
	}
	return r, nil
}

// Parse reads a registry. Errors wrap [ErrInvalid].
func Parse(data []byte) (*Registry, error) {
	var file struct {
		Format        string         `json:"format"`
		Organisations []Organisation `json:"organisations"`
	}
	if err := strictjson.UnmarshalKnown(data, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if file.Format != Format {
		return nil, fmt.Errorf("%w: format is %.60q, this program reads %q", ErrInvalid, file.Format, Format)
	}
	if n := len(file.Organisations); n == 0 || n > maxCount {
		return nil, fmt.Errorf("%w: it lists %d organisations", ErrInvalid, n)
	}
	sum := sha256.Sum256(data)
	r := &Registry{
		Organisations: file.Organisations, SHA256: hex.EncodeToString(sum[:]),
		byID: map[string]*Organisation{}, byKey: map[string]*Organisation{},
	}
	for i := range r.Organisations {
		if err := r.add(&r.Organisations[i]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return r, nil
}

func (r *Registry) add(o *Organisation) error {
	if err := CheckID(o.ID); err != nil {
		return err
	}
	if r.byID[o.ID] != nil {
		return fmt.Errorf("organisation %q stands there twice", o.ID)
	}
	if len(o.Keys) == 0 || len(o.Keys) > maxKeys {
		return fmt.Errorf("organisation %q has %d keys", o.ID, len(o.Keys))
	}
	for _, text := range []string{o.Name, o.Contact} {
		if err := statement.CheckName(text); text != "" && (err != nil || len(text) > maxText) {
			return fmt.Errorf("organisation %q: unusable name or contact %.100q", o.ID, text)
		}
	}
	r.byID[o.ID] = o
	for _, k := range o.Keys {
		if b, err := hex.DecodeString(k.SHA256); err != nil || len(b) != sha256.Size || hex.EncodeToString(b) != k.SHA256 {
			return fmt.Errorf("organisation %q: %.80q is no SHA-256 of a key in lower case", o.ID, k.SHA256)
		}
		if k.NotBefore != nil && k.NotAfter != nil && !k.NotBefore.Before(*k.NotAfter) {
			return fmt.Errorf("organisation %q: key %.12s… is never valid", o.ID, k.SHA256)
		}
		if other := r.byKey[k.SHA256]; other != nil {
			return fmt.Errorf("key %.12s… stands under %q and under %q: a key is one vote", k.SHA256, other.ID, o.ID)
		}
		r.byKey[k.SHA256] = o
	}
	for _, b := range o.Builders {
		if err := statement.CheckURI(b); err != nil {
			return fmt.Errorf("organisation %q: builder: %w", o.ID, err)
		}
	}
	return nil
}

// CheckID refuses an identifier that would not be the same as a folder's name,
// in an address and in a line of text: it is made of a-z, 0-9 and inner hyphens.
func CheckID(id string) error {
	ok := id != "" && len(id) <= maxID && id[0] != '-' && id[len(id)-1] != '-'
	for i := range len(id) {
		c := id[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return fmt.Errorf("%.80q is no identifier of an organisation: a-z, 0-9 and inner hyphens, at most %d", id, maxID)
	}
	return nil
}

// Find is the organisation with the identifier, nil if it is not registered.
func (r *Registry) Find(id string) *Organisation { return r.byID[id] }

// Owner is the organisation whose key has the given SHA-256, nil if none has.
func (r *Registry) Owner(key string) *Organisation { return r.byKey[key] }

// Speaks tells whether the key speaks for the organisation at the given time.
// The error wraps [ErrKey] and says why it does not.
func (o *Organisation) Speaks(key string, at time.Time) error {
	for _, k := range o.Keys {
		switch {
		case k.SHA256 != key:
		case k.NotBefore != nil && at.Before(*k.NotBefore):
			return fmt.Errorf("%w: key %.12s… of %s is valid from %s on, and this is of %s", ErrKey, key, o.ID, day(*k.NotBefore), day(at))
		case k.NotAfter != nil && at.After(*k.NotAfter):
			return fmt.Errorf("%w: key %.12s… of %s expired on %s, and this is of %s", ErrKey, key, o.ID, day(*k.NotAfter), day(at))
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: key %.12s… is not registered for %s", ErrKey, key, o.ID)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
