// Package evidence turns the records of a build into the signed documents of a
// release, all by one key: for each step a statement with its provenance, in a
// Sigstore bundle, and an in-toto link; and the layout, which says what the
// steps are and which one's products each may use.
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
		data, err := sign(r, o)
		if err := offline.Collect(&missing, err); err != nil {
			return nil, fmt.Errorf("make evidence: step %s: %w", r.Step, err)
		}
		files[StatementName(o.Name, r.Step)] = data
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
	_, err := layout.Verify(f, layout.Trust{
		Owners: []crypto.PublicKey{o.Key.Public()}, Threshold: 1, At: o.Expires.Add(-time.Second), Pipeline: o.Pipeline,
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
