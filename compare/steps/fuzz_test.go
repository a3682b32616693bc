package steps

import (
	"testing"

	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
)

// FuzzParse: what is taken of a statement has a digest for each of its names.
func FuzzParse(f *testing.F) {
	digest := map[string]string{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
	s, err := provenance.New([]statement.Descriptor{{Name: "root.tree", Digest: digest}}, provenance.Predicate{
		BuildDefinition: provenance.BuildDefinition{
			ExternalParameters:   provenance.ExternalParameters{Step: "tree-root", Command: []string{"make"}, Parameters: map[string]string{"a": "b"}},
			InternalParameters:   &provenance.InternalParameters{SourceDateEpoch: 1},
			ResolvedDependencies: []statement.Descriptor{{Name: "locked/a.deb", Digest: digest}},
		},
		RunDetails: provenance.RunDetails{Builder: provenance.Builder{ID: provenance.LocalBuilder}},
	})
	if err != nil {
		f.Fatal(err)
	}
	text, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		r := newReader()
		if err := r.parse(text); err != nil {
			return
		}
		r.materials(pipeline.Standard())
		for _, c := range r.steps {
			for _, names := range [][]string{c.Materials, c.Products} {
				for _, name := range names {
					if _, ok := r.digests[name]; !ok {
						t.Errorf("%q stands for nothing", name)
					}
				}
			}
			if len(c.Products) == 0 || provenance.CheckStep(c.Name) != nil {
				t.Errorf("%+v is taken for a step", c)
			}
		}
	})
}
