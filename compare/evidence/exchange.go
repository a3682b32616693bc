package evidence

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mastercard/mangos/compare/manifest"
	"github.com/mastercard/mangos/compare/repository"
)

// This file is the organisation's own side of the exchange: what it does with
// the folder that Publish made, and the place that all organisations share.

// ErrNotOurs: a key that did not sign the evidence that it is used with.
var ErrNotOurs = errors.New("not the key that signed the evidence")

// own reads the build in an organisation's own folder.
func own(ctx context.Context, folder string) (*repository.Folder, *Evidence, error) {
	list, err := repository.Find(ctx, folder, "", nil)
	if err != nil {
		return nil, nil, err
	}
	if len(list) != 1 {
		return nil, nil, fmt.Errorf("%s: %w: it holds the evidence of %d organisations", folder, ErrInvalid, len(list))
	}
	e, err := Unverified(ctx, list[0])
	return list[0], e, err
}

// Unverified reads a folder and checks that its bundles are signed by the key
// that lies beside them, whosever that is: nothing says that it may speak.
func Unverified(ctx context.Context, folder *repository.Folder) (*Evidence, error) {
	e := &Evidence{Folder: folder, Organisation: folder.Organisation, Files: map[string]string{}}
	key, err := e.readAnyKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", KeyFile, err)
	}
	if err := e.readBundles(ctx, key); err != nil {
		return nil, err
	}
	if e.Build == nil {
		return nil, fmt.Errorf("%s: %w: there is no %s", folder.Place, ErrInvalid, BuildFile)
	}
	if err := e.checkPlace(); err != nil {
		return nil, err
	}
	return e, e.checkPromises()
}

// Commit copies the commitment, and the key, from an organisation's own folder
// to the shared place. It returns the folder there.
func Commit(ctx context.Context, folder, shared string) (string, error) {
	from, e, err := own(ctx, folder)
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	if e.Commitment == nil {
		return "", fmt.Errorf("commit: %w: there is no %s in %s", ErrInvalid, CommitmentFile, folder)
	}
	files, err := readFiles(ctx, from, KeyFile, CommitmentFile)
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	d := destination{shared, e.Build.Release, e.Build.Organisation}
	return d.path(), d.write(files)
}

// RevealTo copies the whole folder to the shared place, with a statement of the
// commitments that are there. An own commitment that is there must be the one
// of the folder. It returns the folder there, and whose commitments were seen.
func RevealTo(ctx context.Context, folder, shared string, key crypto.Signer) (string, []string, error) {
	from, e, err := own(ctx, folder)
	if err != nil {
		return "", nil, fmt.Errorf("reveal: %w", err)
	}
	if err := e.signedBy(key); err != nil {
		return "", nil, fmt.Errorf("reveal: %w", err)
	}
	b := e.Build
	v := &Reveal{b.Release, b.Organisation, e.Files[BuildFile], nil}
	if v.Seen, err = seen(ctx, shared, e); err != nil {
		return "", nil, fmt.Errorf("reveal: %w", err)
	}
	s, err := v.Statement()
	if err != nil {
		return "", nil, fmt.Errorf("reveal: %w", err)
	}
	names := []string{KeyFile, CommitmentFile, BuildFile}
	for _, m := range b.Manifests {
		names = append(names, m.Name)
	}
	files, err := readFiles(ctx, from, names...)
	if err != nil {
		return "", nil, fmt.Errorf("reveal: %w", err)
	}
	if files[RevealFile], err = Sign(s, key); err != nil {
		return "", nil, fmt.Errorf("reveal: %w", err)
	}
	d := destination{shared, b.Release, b.Organisation}
	return d.path(), sortedKeys(v.Seen), d.write(files, KeyFile, CommitmentFile)
}

// seen are the commitments of others that lie in the shared place.
func seen(ctx context.Context, shared string, e *Evidence) (map[string]string, error) {
	found := map[string]string{}
	list, err := repository.Find(ctx, shared, e.Build.Release, nil)
	if err != nil && !errors.Is(err, repository.ErrEmpty) && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range list {
		text, err := f.Read(ctx, CommitmentFile, MaxBundle)
		if err != nil {
			continue // nobody can read it: then nobody has seen it
		}
		if f.Organisation != e.Organisation {
			found[f.Organisation] = Digest(text)
		} else if Digest(text) != e.Files[CommitmentFile] {
			return nil, fmt.Errorf("%w: %s holds another commitment of %s", ErrBroken, f.Place, e.Organisation)
		}
	}
	return found, nil
}

func readFiles(ctx context.Context, from *repository.Folder, names ...string) (map[string][]byte, error) {
	files := make(map[string][]byte, len(names))
	for _, name := range names {
		text, err := from.Read(ctx, name, manifest.MaxSize)
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	return files, nil
}

// SignResults holds an organisation's build against those of others for the same
// release, and signs what it found, good or bad, into its own folder.
func SignResults(ctx context.Context, folder string, others []*Evidence, key crypto.Signer) (*Results, error) {
	_, e, err := own(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	if err := e.signedBy(key); err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	r := &Results{Build: e.Files[BuildFile]}
	for _, o := range others {
		if o.Build != nil && o.Organisation != e.Organisation && o.Build.Release == e.Build.Release {
			r.List = append(r.List, e.Build.Hold(o.Build, o.Files[BuildFile]))
		}
	}
	if len(r.List) == 0 {
		return nil, fmt.Errorf("results: %w: nobody else has revealed a build of %s", ErrInvalid, e.Build.Release)
	}
	s, err := r.Statement()
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	text, err := Sign(s, key)
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	return r, replaceFile(e.Folder.Place, ResultsFile, text)
}
