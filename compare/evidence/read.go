package evidence

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/repository"
)

// Sentinels: why evidence is refused.
var (
	// ErrUnknown: by an organisation that is not registered.
	ErrUnknown = errors.New("unknown organisation")
	// ErrReplayed: of another release or organisation than its place says.
	ErrReplayed = errors.New("evidence of something else")
	// ErrExpired: too old, of the future, or by a key that was not valid then.
	ErrExpired = errors.New("evidence is out of date")
	// ErrBroken: a promise that was not kept, or statements that contradict
	// each other.
	ErrBroken = errors.New("evidence contradicts itself")
)

// futureSlack is how much a builder's clock may be ahead of the reader's.
const futureSlack = 24 * time.Hour

// Evidence is what one organisation's folder holds, verified.
type Evidence struct {
	Folder       *repository.Folder
	Organisation string
	// Key is the SHA-256 of the key that signed everything.
	Key string
	// Build is nil as long as there is only a commitment.
	Build *Build
	// Commitment, Reveal and Results are nil if there are none.
	Commitment *Commitment
	Reveal     *Reveal
	Results    *Results
	// Files are the bundles by name with the digest of their texts.
	Files map[string]string
}

// Reader says by what evidence is judged.
type Reader struct {
	Registry *organisation.Registry
	// At is the time at which ages are judged.
	At time.Time
	// MaxAge bounds the age of a build; 0 means no bound.
	MaxAge time.Duration
}

// Verify reads a folder and refuses, with a reason, what is not to be counted.
// Nothing of a bundle is used before its signature is checked.
func (r *Reader) Verify(ctx context.Context, folder *repository.Folder) (*Evidence, error) {
	o := r.Registry.Find(folder.Organisation)
	if o == nil {
		return nil, fmt.Errorf("%w: %q is not in the organisations file; add it there, or leave its folder out", ErrUnknown, folder.Organisation)
	}
	e := &Evidence{Folder: folder, Organisation: o.ID, Files: map[string]string{}}
	key, err := e.readKey(ctx, r.Registry)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", KeyFile, err)
	}
	if err := e.readBundles(ctx, key); err != nil {
		return nil, err
	}
	if e.Build == nil && e.Commitment == nil {
		return nil, fmt.Errorf("%w: neither %s nor %s is there", ErrInvalid, BuildFile, CommitmentFile)
	}
	if err := e.checkPlace(); err != nil {
		return nil, err
	}
	if e.Build != nil {
		if err := r.checkBuild(o, e); err != nil {
			return nil, fmt.Errorf("%s: %w", BuildFile, err)
		}
	}
	return e, e.checkPromises()
}

// readKey reads the public key and requires that it is registered for the
// organisation in whose folder it lies.
func (e *Evidence) readKey(ctx context.Context, registry *organisation.Registry) (crypto.PublicKey, error) {
	key, err := e.readAnyKey(ctx)
	if err != nil {
		return nil, err
	}
	switch owner := registry.Owner(e.Key); {
	case owner == nil:
		return nil, fmt.Errorf("%w: key %.12s… is not registered for %s", organisation.ErrKey, e.Key, e.Organisation)
	case owner.ID != e.Organisation:
		return nil, fmt.Errorf("%w: key %.12s… is that of %s, and lies in the folder of %s", organisation.ErrKey, e.Key, owner.ID, e.Organisation)
	}
	return key, nil
}

// readAnyKey reads the public key, whosever it is.
func (e *Evidence) readAnyKey(ctx context.Context) (crypto.PublicKey, error) {
	text, err := e.Folder.Read(ctx, KeyFile, keys.MaxFile)
	if err != nil {
		return nil, err
	}
	key, err := keys.ParsePublic(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := keys.Check(keys.Attest, key); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	e.Key, err = keys.KeyID(key)
	return key, err
}

// signedBy reports with an error that the evidence is not signed by key.
func (e *Evidence) signedBy(key crypto.Signer) error {
	id, err := keys.KeyID(key.Public())
	if err == nil && id != e.Key {
		err = fmt.Errorf("%w: it is %.12s…, the evidence is signed by %.12s…", ErrNotOurs, id, e.Key)
	}
	return err
}

// readBundles reads the bundles of the folder, as far as they are there.
func (e *Evidence) readBundles(ctx context.Context, key crypto.PublicKey) error {
	for _, f := range []struct {
		name  string
		limit int64
		take  func(*statement.Statement) error
	}{
		{BuildFile, MaxBuild, func(s *statement.Statement) (err error) { e.Build, err = ParseBuild(s); return err }},
		{CommitmentFile, MaxBundle, func(s *statement.Statement) (err error) { e.Commitment, err = ParseCommitment(s); return err }},
		{RevealFile, MaxBundle, func(s *statement.Statement) (err error) { e.Reveal, err = ParseReveal(s); return err }},
		{ResultsFile, MaxBundle, func(s *statement.Statement) (err error) { e.Results, err = ParseResults(s); return err }},
	} {
		if err := e.readBundle(ctx, f.name, f.limit, key, f.take); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// readBundle reads a bundle that need not be there.
func (e *Evidence) readBundle(ctx context.Context, name string, limit int64, key crypto.PublicKey, take func(*statement.Statement) error) error {
	text, err := e.Folder.Read(ctx, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := open(text, key)
	if err != nil {
		return err
	}
	e.Files[name] = Digest(text)
	return take(s)
}

// checkPlace requires that everything is about the release and by the
// organisation that the folder is named for.
func (e *Evidence) checkPlace() error {
	check := func(file, release, organisation string) error {
		switch {
		case release != e.Folder.Release:
			return fmt.Errorf("%s: %w: it is about release %q, and lies in the folder of %q", file, ErrReplayed, release, e.Folder.Release)
		case organisation != e.Organisation:
			return fmt.Errorf("%s: %w: it speaks for %q, and lies in the folder of %q", file, ErrReplayed, organisation, e.Organisation)
		}
		return nil
	}
	if b := e.Build; b != nil {
		if err := check(BuildFile, b.Release, b.Organisation); err != nil {
			return err
		}
	}
	if c := e.Commitment; c != nil {
		if err := check(CommitmentFile, c.Release, c.Organisation); err != nil {
			return err
		}
	}
	if v := e.Reveal; v != nil {
		return check(RevealFile, v.Release, v.Organisation)
	}
	return nil
}

// checkBuild judges who built, and when.
func (r *Reader) checkBuild(o *organisation.Organisation, e *Evidence) error {
	b := e.Build
	if len(o.Builders) > 0 && !slices.Contains(o.Builders, b.Builder) {
		return fmt.Errorf("%w: %q is no builder that is registered for %s", organisation.ErrKey, b.Builder, o.ID)
	}
	if err := o.Speaks(e.Key, b.Finished); err != nil {
		return fmt.Errorf("%w: %w", ErrExpired, err)
	}
	if b.Finished.After(r.At.Add(futureSlack)) {
		return fmt.Errorf("%w: it bears the date %s, which has not come yet", ErrExpired, day(b.Finished))
	}
	if age := r.At.Sub(b.Finished); r.MaxAge > 0 && age > r.MaxAge {
		return fmt.Errorf("%w: it is of %s, %d days old; the policy accepts %d", ErrExpired, day(b.Finished), int(age.Hours()/24), int(r.MaxAge.Hours()/24))
	}
	return nil
}

// checkPromises holds commitment, reveal and results against the build.
func (e *Evidence) checkPromises() error {
	if e.Build == nil {
		if e.Reveal != nil || e.Results != nil {
			return fmt.Errorf("%w: a reveal or results, but no %s", ErrBroken, BuildFile)
		}
		return nil
	}
	digest := e.Files[BuildFile]
	if c := e.Commitment; c != nil && c.Build != digest {
		return fmt.Errorf("%s: %w: %s committed to another %s than the one that it revealed", CommitmentFile, ErrBroken, e.Organisation, BuildFile)
	}
	if v := e.Reveal; v != nil && v.Build != digest {
		return fmt.Errorf("%s: %w: it is about another %s", RevealFile, ErrBroken, BuildFile)
	}
	if x := e.Results; x != nil && x.Build != digest {
		return fmt.Errorf("%s: %w: they were made with another %s", ResultsFile, ErrBroken, BuildFile)
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
