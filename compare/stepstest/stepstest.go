// Package stepstest writes attestations of steps for tests.
package stepstest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
)

// Step is a step of the pipeline: names and what they stand for.
type Step struct {
	Name                string
	Command             []string // "make NAME" by default
	Parameters          map[string]string
	Materials, Products map[string]string
}

// Write writes the attestation of each step into the folder of a release.
func Write(t testing.TB, folder string, list ...Step) {
	t.Helper()
	for _, s := range list {
		if s.Command == nil {
			s.Command = []string{"make", s.Name}
		}
		d := provenance.BuildDefinition{
			ExternalParameters:   provenance.ExternalParameters{Step: s.Name, Command: s.Command, Parameters: s.Parameters},
			ResolvedDependencies: descriptors(s.Materials),
		}
		text, err := provenance.New(descriptors(s.Products), provenance.Predicate{
			BuildDefinition: d, RunDetails: provenance.RunDetails{Builder: provenance.Builder{ID: provenance.LocalBuilder}},
		})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := evidence.Sign(text, evidencetest.Key("steps"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "mangos_1."+s.Name+".sigstore.json"), signed, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func descriptors(names map[string]string) []statement.Descriptor {
	var list []statement.Descriptor
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, statement.Descriptor{Name: name, Digest: map[string]string{"sha256": evidencetest.Digest(names[name])}})
	}
	return list
}
