// Package provenance reads and writes SLSA Provenance, version 1
// (slsa.dev/spec/v1.1/provenance), of one build type: a step of the mangos
// pipeline, described in step-v1.md next to this file.
//
// A statement says what a step's record says (package record) and is made in one
// place, record.Record.Statement. There no digest is taken from whoever asks for
// the statement: the recorder has hashed what lay before the step, started the
// step, and looked again. What was not there cannot be claimed; how that is made
// sure of, and what it leaves to trust, stands in the documentation of package
// record.
//
// What differs from build to build stands in runDetails (times, the builder, the run)
// and in internalParameters.caches, alone. Two organisations that built the same inputs
// have the same subjects and otherwise the same buildDefinition, up to the order of
// resolvedDependencies, which is sorted by name here.
package provenance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	upstream "github.com/in-toto/attestation/go/predicates/provenance/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/strictjson"
)

// Types of the predicate and of the build.
const (
	PredicateType = "https://slsa.dev/provenance/v1"
	BuildType     = "https://github.com/mastercard/mangos/blob/main/attest/provenance/step-v1.md"
	// LocalBuilder is the builder.id where the builder has no better one.
	LocalBuilder = "https://github.com/mastercard/mangos/blob/main/attest/provenance/step-v1.md#local-builder"
)

// ErrInvalid: not provenance of a step.
var ErrInvalid = errors.New("invalid provenance")

// Predicate is the provenance of one step.
type Predicate struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what determined the products.
type BuildDefinition struct {
	BuildType            string                 `json:"buildType"`
	ExternalParameters   ExternalParameters     `json:"externalParameters"`
	InternalParameters   *InternalParameters    `json:"internalParameters,omitempty"`
	ResolvedDependencies []statement.Descriptor `json:"resolvedDependencies,omitempty"`
}

// ExternalParameters are what whoever started the build chose.
type ExternalParameters struct {
	Step       string            `json:"step"`
	Command    []string          `json:"command"`
	Parameters map[string]string `json:"parameters,omitempty"`
}

// InternalParameters are what the pipeline chose.
type InternalParameters struct {
	SourceDateEpoch int64 `json:"sourceDateEpoch"`
	// Caches are paths that held content of earlier runs: of this run, never compared.
	Caches []string `json:"caches,omitempty"`
}

// RunDetails tell of this run, and are never compared.
type RunDetails struct {
	Builder  Builder   `json:"builder"`
	Metadata *Metadata `json:"metadata,omitempty"`
}

// Builder is who ran the step.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata is when the step ran.
type Metadata struct {
	InvocationID string `json:"invocationId,omitempty"`
	StartedOn    string `json:"startedOn,omitempty"`
	FinishedOn   string `json:"finishedOn,omitempty"`
}

// New makes the statement that says how subjects came to be.
func New(subjects []statement.Descriptor, p Predicate) (*statement.Statement, error) {
	p.BuildDefinition.BuildType = BuildType
	slices.SortFunc(p.BuildDefinition.ResolvedDependencies, func(a, b statement.Descriptor) int { return cmp.Compare(a.Name, b.Name) })
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("new provenance: %w", err)
	}
	s, err := statement.New(subjects, PredicateType, p)
	if err != nil {
		return nil, fmt.Errorf("new provenance: %w", err)
	}
	return s, nil
}

// Parse reads the predicate of a provenance statement. An external parameter
// that is not known is refused, as SLSA asks of a verifier. Errors wrap
// [ErrInvalid].
func Parse(s *statement.Statement) (*Predicate, error) {
	if s.PredicateType != PredicateType {
		return nil, fmt.Errorf("parse provenance: %w: predicateType is %q", ErrInvalid, s.PredicateType)
	}
	var p Predicate
	if err := strictjson.Unmarshal(s.Predicate, &p); err != nil {
		return nil, fmt.Errorf("parse provenance: %w: %w", ErrInvalid, err)
	}
	var raw struct {
		BuildDefinition struct {
			ExternalParameters json.RawMessage `json:"externalParameters"`
		} `json:"buildDefinition"`
	}
	if err := strictjson.Unmarshal(s.Predicate, &raw); err != nil {
		return nil, fmt.Errorf("parse provenance: %w: %w", ErrInvalid, err)
	}
	if err := strictjson.UnmarshalKnown(raw.BuildDefinition.ExternalParameters, new(ExternalParameters)); err != nil {
		return nil, fmt.Errorf("parse provenance: %w: externalParameters: %w", ErrInvalid, err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("parse provenance: %w", err)
	}
	return &p, nil
}

// check is the whole of what a step's provenance must satisfy.
func (p *Predicate) check() error {
	d := &p.BuildDefinition
	if d.BuildType != BuildType {
		return fmt.Errorf("%w: buildType is %.200q", ErrInvalid, d.BuildType)
	}
	if err := CheckStep(d.ExternalParameters.Step); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := statement.CheckURI(p.RunDetails.Builder.ID); err != nil {
		return fmt.Errorf("%w: builder.id: %w", ErrInvalid, err)
	}
	if n := len(d.ResolvedDependencies); n > statement.MaxDescriptors {
		return fmt.Errorf("%w: %d resolvedDependencies", ErrInvalid, n)
	}
	seen := make(map[string]bool, len(d.ResolvedDependencies))
	for i := range d.ResolvedDependencies {
		dep := &d.ResolvedDependencies[i]
		if err := dep.Check(); err != nil {
			return fmt.Errorf("%w: resolvedDependencies: %w", ErrInvalid, err)
		}
		if dep.Name == "" || dep.SHA256() == "" {
			return fmt.Errorf("%w: resolvedDependencies %d has no name or no SHA-256", ErrInvalid, i+1)
		}
		if seen[dep.Name] {
			return fmt.Errorf("%w: two resolvedDependencies are called %q", ErrInvalid, dep.Name)
		}
		seen[dep.Name] = true
	}
	if m := p.RunDetails.Metadata; m != nil {
		for _, text := range []string{m.StartedOn, m.FinishedOn} {
			if _, err := time.Parse(time.RFC3339, text); text != "" && err != nil {
				return fmt.Errorf("%w: metadata: %w", ErrInvalid, err)
			}
		}
	}
	return p.checkUpstream()
}

// checkUpstream asks the library of the specification's authors too, without
// the dependencies, which [statement.Descriptor.Check] has seen.
func (p *Predicate) checkUpstream() error {
	bare := *p
	bare.BuildDefinition.ResolvedDependencies = nil
	data, err := json.Marshal(bare)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var u upstream.Provenance
	if err := protojson.Unmarshal(bytes.TrimSpace(data), &u); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := u.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// CheckStep refuses a step's name that would not be the same in a file name,
// a pattern of a layout and a line of text: it is made of a-z, 0-9 and inner
// hyphens.
func CheckStep(name string) error {
	if name == "" || len(name) > 64 || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return fmt.Errorf("%.80q is no name of a step", name)
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%q is no name of a step", name)
		}
	}
	return nil
}
