// Package evidence turns the records of a build into the signed documents of a
// release, all by one key: for each step a statement with its provenance, in a
// Sigstore bundle, and an in-toto link; and the layout, which says what the
// steps are and which one's products each may use.
//
// An extension that is built by itself has statements of its own two steps, and no
// more ([Extension]).
//
// The same records and key give the same bytes.
package evidence

import (
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/internal/newfile"
	"github.com/mastercard/mangos/attest/layout"
	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/statement"
)

// Options say in whose name the documents are made.
type Options struct {
	// Name is what the names of the statements' files begin with, such as
	// mangos_1.2.
	Name     string
	Builder  provenance.Builder
	Pipeline *pipeline.Pipeline
	// Expires is the end of the layout: after it the release is not verified
	// any more, unless for an earlier time.
	Expires time.Time
	Key     crypto.Signer // Ed25519
}

// StatementName is the name of the file with a step's statement.
func StatementName(name, step string) string { return name + "." + step + bundle.Suffix }

// Files are documents by the names of their files.
type Files map[string][]byte

// Make makes the documents of a build. With a key that is elsewhere it asks for
// all signatures that are missing before it fails ([offline.ErrMissing]).
func Make(records []*record.Record, o Options) (Files, error) {
	names := make([]string, len(records))
	for i, r := range records {
		names[i] = r.Step
	}
	p, err := o.Pipeline.Of(names)
	if err != nil {
		return nil, fmt.Errorf("make evidence: %w", err)
	}
	files := Files{}
	var missing error
	for _, r := range records {
		if err := files.state(r, o, &missing); err != nil {
			return nil, err
		}
		name, data, err := layout.SignLink(layout.NewLink(r), o.Key)
		if err := offline.Collect(&missing, err); err != nil {
			return nil, fmt.Errorf("make evidence: %w", err)
		}
		files[name] = data
	}
	l, err := layout.New(p, []crypto.PublicKey{o.Key.Public()}, 1, o.Expires)
	if err != nil {
		return nil, fmt.Errorf("make evidence: %w", err)
	}
	files[layout.FileName], err = layout.Sign(l, o.Key)
	if err := offline.Collect(&missing, err); err != nil {
		return nil, fmt.Errorf("make evidence: %w", err)
	}
	if missing != nil {
		return nil, fmt.Errorf("make evidence: %w", missing)
	}
	return files, files.check(o)
}

// The steps of an extension that is built by itself, and what the first makes for the
// second.
const (
	ConfigurationStep = "configuration"
	ExtensionStep     = "extension"
	ConfigurationTree = "org.tree"
)

// Extension makes the statements of an extension that is built by itself, of its two
// steps. There are no links and no layout: these are of a whole build. With a key that
// is elsewhere it is as [Make].
func Extension(records []*record.Record, o Options) (Files, error) {
	if err := checkExtension(records); err != nil {
		return nil, fmt.Errorf("make evidence: %w", err)
	}
	files := Files{}
	var missing error
	for _, r := range records {
		if err := files.state(r, o, &missing); err != nil {
			return nil, err
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("make evidence: %w", missing)
	}
	return files, nil
}

// checkExtension makes sure that the records are of these steps, and that the one has
// what the other made.
func checkExtension(records []*record.Record) error {
	steps := map[string]*record.Record{}
	for _, r := range records {
		steps[r.Step] = r
	}
	given, made := steps[ConfigurationStep], steps[ExtensionStep]
	if given == nil || made == nil || len(records) != 2 {
		return fmt.Errorf("an extension has the steps %s and %s, and no other", ConfigurationStep, ExtensionStep)
	}
	of := func(items []record.Item) string {
		for _, i := range items {
			if i.Name == ConfigurationTree {
				return i.SHA256
			}
		}
		return ""
	}
	if digest := of(given.Products); digest == "" || digest != of(made.Materials) {
		return fmt.Errorf("the steps do not fit together: %s is not made of the %s that was given", ExtensionStep, ConfigurationTree)
	}
	return nil
}

// state adds the statement of a record, or notes that its signature is missing.
func (f Files) state(r *record.Record, o Options, missing *error) error {
	data, err := sign(r, o)
	if err := offline.Collect(missing, err); err != nil {
		return fmt.Errorf("make evidence: step %s: %w", r.Step, err)
	}
	f[StatementName(o.Name, r.Step)] = data
	return nil
}

// sign returns the bundle with a record's statement.
func sign(r *record.Record, o Options) ([]byte, error) {
	s, err := r.Statement(o.Builder)
	if err != nil {
		return nil, err
	}
	payload, err := s.Encode()
	if err != nil {
		return nil, err
	}
	e, err := dsse.Sign(statement.PayloadType, payload, o.Key)
	if err != nil {
		return nil, err
	}
	return bundle.Encode(e, o.Key.Public())
}

// check verifies the layout against the links, at the last moment at which it
// counts: a build whose steps do not fit together has no evidence.
func (f Files) check(o Options) error {
	own := []crypto.PublicKey{o.Key.Public()}
	_, err := layout.Verify(f, layout.Trust{
		Owners: own, Functionaries: own, Threshold: 1, At: o.Expires.Add(-time.Second), Pipeline: o.Pipeline,
	})
	if err != nil {
		return fmt.Errorf("make evidence: the steps do not fit together: %w", err)
	}
	return nil
}

// Write writes the documents into dir, which must hold none of them: all of them, or
// none.
func (f Files) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	if err := newfile.All(dir, 0o644, f); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

// Records reads the records in dir, of which every file must be one.
func Records(dir string) ([]*record.Record, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	var list []*record.Record
	for _, e := range entries {
		r, err := record.Load(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if want := r.Step + ".json"; e.Name() != want {
			return nil, fmt.Errorf("read records: %s holds the record of step %s", e.Name(), r.Step)
		}
		list = append(list, r)
	}
	return list, nil
}
