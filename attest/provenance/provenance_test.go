package provenance

import (
	"errors"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/statement"
)

const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

func descriptor(name string) statement.Descriptor {
	return statement.Descriptor{Name: name, Digest: map[string]string{"sha256": sum}}
}

func predicate() Predicate {
	return Predicate{
		BuildDefinition: BuildDefinition{
			ExternalParameters:   ExternalParameters{Step: "root", Command: []string{"image", "root"}, Parameters: map[string]string{"version": "1"}},
			InternalParameters:   &InternalParameters{SourceDateEpoch: 1},
			ResolvedDependencies: []statement.Descriptor{descriptor("b"), descriptor("a")},
		},
		RunDetails: RunDetails{Builder: Builder{ID: LocalBuilder}, Metadata: &Metadata{StartedOn: "2026-01-01T00:00:00Z"}},
	}
}

func encoded(t *testing.T) string {
	t.Helper()
	s, err := New([]statement.Descriptor{descriptor("root.erofs")}, predicate())
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(text string) (*Predicate, error) {
	s, err := statement.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return Parse(s)
}

func TestParse(t *testing.T) {
	p, err := parse(encoded(t))
	if err != nil {
		t.Fatal(err)
	}
	if deps := p.BuildDefinition.ResolvedDependencies; len(deps) != 2 || deps[0].Name != "a" {
		t.Errorf("dependencies are not sorted: %+v", deps)
	}
}

func TestRefusals(t *testing.T) {
	good := encoded(t)
	for name, change := range map[string][2]string{
		"another build type":         {BuildType, "https://example.com/other"},
		"another predicate":          {PredicateType, "https://slsa.dev/provenance/v0.2"},
		"unknown external parameter": {`"step":"root"`, `"step":"root","more":"x"`},
		"hostile step":               {`"step":"root"`, `"step":"../root"`},
		"no builder":                 {LocalBuilder, ""},
		"hostile builder":            {LocalBuilder, "not a URI"},
		"time":                       {"2026-01-01T00:00:00Z", "yesterday"},
		"dependency twice":           {`"name":"b"`, `"name":"a"`},
		"dependency without digest":  {`{"name":"b","digest":{"sha256":"` + sum + `"}}`, `{"name":"b"}`},
	} {
		if !strings.Contains(good, change[0]) {
			t.Fatalf("%s: no %q in %s", name, change[0], good)
		}
		if _, err := parse(strings.Replace(good, change[0], change[1], 1)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	s, err := New([]statement.Descriptor{descriptor("x")}, predicate())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(s.Predicate))
	f.Fuzz(func(t *testing.T, data []byte) {
		Parse(&statement.Statement{PredicateType: PredicateType, Predicate: data})
	})
}
