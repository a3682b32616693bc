package verdict_test

import (
	"crypto"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/evidencetest"
	"github.com/mastercard/mangos/compare/verdict"
)

// rich is a verdict that has something of everything.
func rich(t *testing.T) *verdict.Verdict {
	s := newScene(t)
	s.republish(func(b *evidence.Build) { evidencetest.Change(b, "bzImage") })
	s.result("alpha", "bzImage")
	for name, change := range map[string]func(*evidence.Build){
		"delta":   func(b *evidence.Build) { b.Inputs[0].SHA256 = evidencetest.Digest("other") },
		"epsilon": func(b *evidence.Build) { b.Release = "mangos_0" },
	} {
		o := evidencetest.New(name)
		o.Publish(t, o.Folder(s.dir), o.Build(change))
	}
	s.registry = evidencetest.Registry(t, alpha, beta, gamma, evidencetest.New("delta"), evidencetest.New("epsilon"))
	return s.decide()
}

// TestSchema holds verdicts against the schema. It knows no members besides the
// documented ones.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("verdict-1.schema.json")
	must(t, err)
	full := rich(t)
	if len(full.Splits) == 0 || len(full.Results) == 0 || len(full.Inputs) < 2 || full.Outcome != verdict.Differs {
		t.Fatalf("the verdict has not something of everything: %+v", full)
	}
	for name, v := range map[string]*verdict.Verdict{"rich": full, "reproduced": newScene(t).decide()} {
		text, err := json.Marshal(v)
		must(t, err)
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		must(t, err)
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"format": "mangos-verdict-2"}`))
	must(t, err)
	if schema.Validate(value) == nil {
		t.Error("another format passes")
	}
}

// TestVSA: the summary lists every file that the verdict rests on, by a digest
// that is that of a file.
func TestVSA(t *testing.T) {
	s := newScene(t)
	v := s.decide()
	summary, err := v.VSA()
	must(t, err)
	text, err := evidence.Sign(summary, alpha.Key)
	must(t, err)
	e, err := bundle.Parse(text)
	must(t, err)
	if _, err := e.Verify([]crypto.PublicKey{alpha.Key.Public()}, 1); err != nil {
		t.Fatal(err)
	}
	read, err := statement.Parse(e.Payload)
	must(t, err)
	var p struct {
		Result string                 `json:"verificationResult"`
		Levels []string               `json:"verifiedLevels"`
		Inputs []statement.Descriptor `json:"inputAttestations"`
	}
	must(t, json.Unmarshal(read.Predicate, &p))
	if read.PredicateType != verdict.VSAType || p.Result != "PASSED" || len(p.Levels) != 1 || p.Levels[0] != "MANGOS_REPRODUCED_3_OF_3" {
		t.Errorf("%s: %s %v", read.PredicateType, p.Result, p.Levels)
	}
	digests := map[string]bool{}
	must(t, filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".sigstore.json") {
			text, err := os.ReadFile(path)
			must(t, err)
			digests[evidence.Digest(text)] = true
		}
		return err
	}))
	for _, i := range p.Inputs {
		if !digests[i.SHA256()] {
			t.Errorf("%s is no file", i.URI)
		}
		delete(digests, i.SHA256())
	}
	if len(digests) > 0 {
		t.Errorf("%d files are not listed", len(digests))
	}
	if failed, err := rich(t).VSA(); err != nil || !strings.Contains(string(failed.Predicate), `"verificationResult":"FAILED"`) ||
		!strings.Contains(string(failed.Predicate), `"verifiedLevels":[]`) {
		t.Errorf("a verdict of differs: %v, %s", err, failed.Predicate)
	}
}
