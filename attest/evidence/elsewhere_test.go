package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/record"
)

// With the attest key elsewhere the evidence is the same, byte for byte. openssl
// signs, as the list says.
func TestElsewhere(t *testing.T) {
	p, err := pipeline.Parse([]byte(`{"steps":[
		{"name":"first","what":"x","products":[{"pattern":"a","required":true}]},
		{"name":"second","what":"y","materials":[{"pattern":"a","from":"first","required":true}],"products":[{"pattern":"b","required":true}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	a := record.Item{Name: "a", SHA256: strings.Repeat("a", 64), Size: 1}
	b := record.Item{Name: "b", SHA256: strings.Repeat("b", 64), Size: 2}
	step := func(name string, materials, products []record.Item) *record.Record {
		return &record.Record{
			Format: record.Format, Step: name, Command: []string{"make"}, SourceDateEpoch: 1, Materials: materials, Products: products,
			Started: "2026-01-01T00:00:00Z", Finished: "2026-01-01T00:00:01Z",
		}
	}
	records := []*record.Record{step("first", []record.Item{}, []record.Item{a}), step("second", []record.Item{a}, []record.Item{b})}
	dir, digests := t.TempDir(), t.TempDir()
	if _, err := keys.Generate(dir, keys.Options{Roles: []keys.Role{keys.Attest}}); err != nil {
		t.Fatal(err)
	}
	key, err := keys.LoadPrivate(keys.Attest, filepath.Join(dir, "attest.key"))
	if err != nil {
		t.Fatal(err)
	}
	files := func(key crypto.Signer) (evidence.Files, error) {
		return evidence.Make(records, evidence.Options{
			Name: "x_1", Builder: provenance.Builder{ID: provenance.LocalBuilder}, Pipeline: p, Expires: time.Unix(2e9, 0), Key: key,
		})
	}
	want, err := files(key)
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := offline.Open(digests)
	if err != nil {
		t.Fatal(err)
	}
	signer := signatures.Signer(keys.Attest, "evidence", key.Public().(ed25519.PublicKey))
	if _, err := files(signer); !errors.Is(err, offline.ErrMissing) {
		t.Fatalf("without signatures: %v", err)
	}
	if n := len(signatures.Missing()); n != len(want) {
		t.Errorf("%d signatures are asked for, there are %d documents", n, len(want))
	}
	if err := offline.Export(digests, signatures.Missing()); err != nil {
		t.Fatal(err)
	}
	for _, r := range signatures.Missing() {
		oracle.Run(t, digests, "openssl", "pkeyutl", "-sign", "-rawin", "-inkey", filepath.Join(dir, "attest.key"),
			"-in", r.Name()+offline.RequestSuffix, "-out", r.Name()+offline.SignatureSuffix)
	}
	got, err := files(signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range want {
		if !bytes.Equal(got[name], data) {
			t.Errorf("%s is another file than with the key at hand", name)
		}
	}
}
