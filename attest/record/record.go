package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/strictjson"
)

// Format is the value of a record's first key. It changes with the format.
const Format = "mangos-step-record-1"

// MaxSize is the size in bytes of the largest record that is read.
const MaxSize = 32 << 20

// Suffix of a record's file name.
const Suffix = ".record.json"

// Sentinels.
var (
	ErrInvalid   = errors.New("invalid record")
	ErrChanged   = errors.New("input changed while the step ran")
	ErrStale     = errors.New("product was there before the step ran")
	ErrNotLocked = errors.New("file is not in the lock")
	ErrContainer = errors.New("container does not hold what its selection says")
	ErrUnclaimed = errors.New("mount is not claimed")
	ErrMissing   = errors.New("product is missing")
)

// Record is what one run of a step used and made.
type Record struct {
	Format          string            `json:"format"`
	Step            string            `json:"step"`
	Command         []string          `json:"command"`
	Parameters      map[string]string `json:"parameters,omitempty"`
	SourceDateEpoch int64             `json:"sourceDateEpoch"`
	Materials       []Item            `json:"materials"`
	Products        []Item            `json:"products"`
	// Caches are the paths that the step could read besides its inputs.
	Caches   []string `json:"caches,omitempty"`
	Started  string   `json:"started"`  // RFC 3339, UTC
	Finished string   `json:"finished"` // RFC 3339, UTC
}

// Item is one input or product.
type Item struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	// Size in bytes; of a folder, of its manifest.
	Size int64 `json:"size"`
	// URI is the purl of a locked file.
	URI string `json:"uri,omitempty"`
	// Use is "tool" for what was there to run, else empty.
	Use string `json:"use,omitempty"`
}

// Tool is the Use of an input that was there to run.
const Tool = "tool"

// Encode checks the record and returns its JSON.
func (r *Record) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("encode record: %d bytes; at most %d are read again", b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}

// Parse reads a record. Errors wrap [ErrInvalid].
func Parse(data []byte) (*Record, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("parse record: %w: more than %d bytes", ErrInvalid, MaxSize)
	}
	var r Record
	if err := strictjson.UnmarshalKnown(data, &r); err != nil {
		return nil, fmt.Errorf("parse record: %w: %w", ErrInvalid, err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("parse record: %w", err)
	}
	return &r, nil
}

// Load reads the record in the file at path.
func Load(path string) (*Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load record: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("load record %s: %w", path, err)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *Record) check() error {
	if r.Format != Format {
		return fmt.Errorf("%w: format is %.60q, this program reads %q", ErrInvalid, r.Format, Format)
	}
	if err := provenance.CheckStep(r.Step); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(r.Products) == 0 {
		return fmt.Errorf("%w: step %s has no product", ErrInvalid, r.Step)
	}
	for _, list := range [][]Item{r.Materials, r.Products} {
		seen := make(map[string]bool, len(list))
		for i := range list {
			if err := list[i].check(); err != nil {
				return fmt.Errorf("%w: step %s: %w", ErrInvalid, r.Step, err)
			}
			if seen[list[i].Name] {
				return fmt.Errorf("%w: step %s: %q stands there twice", ErrInvalid, r.Step, list[i].Name)
			}
			seen[list[i].Name] = true
		}
	}
	return nil
}

func (i *Item) check() error {
	d := i.Descriptor()
	if i.Name == "" || i.SHA256 == "" {
		return errors.New("an item without name or SHA-256")
	}
	if i.Use != "" && i.Use != Tool {
		return fmt.Errorf("%q: use %q", i.Name, i.Use)
	}
	return d.Check()
}

// Descriptor is the item as a statement names it.
func (i *Item) Descriptor() statement.Descriptor {
	d := statement.Descriptor{Name: i.Name, URI: i.URI, Digest: map[string]string{"sha256": i.SHA256}}
	if i.Use != "" {
		d.Annotations = map[string]any{"use": i.Use}
	}
	return d
}

// Statement makes the provenance statement of the record, in the name of the
// given builder.
func (r *Record) Statement(builder provenance.Builder) (*statement.Statement, error) {
	subjects := make([]statement.Descriptor, len(r.Products))
	for i := range r.Products {
		subjects[i] = r.Products[i].Descriptor()
	}
	p := provenance.Predicate{
		BuildDefinition: provenance.BuildDefinition{
			ExternalParameters: provenance.ExternalParameters{Step: r.Step, Command: r.Command, Parameters: r.Parameters},
			InternalParameters: &provenance.InternalParameters{SourceDateEpoch: r.SourceDateEpoch, Caches: r.Caches},
		},
		RunDetails: provenance.RunDetails{
			Builder:  builder,
			Metadata: &provenance.Metadata{StartedOn: r.Started, FinishedOn: r.Finished},
		},
	}
	for i := range r.Materials {
		p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, r.Materials[i].Descriptor())
	}
	s, err := provenance.New(subjects, p)
	if err != nil {
		return nil, fmt.Errorf("statement of step %s: %w", r.Step, err)
	}
	return s, nil
}
