package policy

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/keys"
)

// small is the least that is a policy.
func small(t testing.TB) string {
	t.Helper()
	key, err := x509.MarshalPKIXPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
	return "format = \"mangos-trust-1\"\n[statements]\nthreshold = 1\nkeys = ['''" + text + "''']\nbuilders = [\"https://example.org/b\"]\n" +
		"[layout]\nthreshold = 1\nowners = ['''" + text + "''']\n"
}

// TestOrganisations: a name for each key or for none, and no name that plays tricks.
func TestOrganisations(t *testing.T) {
	key := func(seed byte) string {
		der, err := x509.MarshalPKIXPublicKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)).Public())
		if err != nil {
			t.Fatal(err)
		}
		return "'''" + string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})) + "'''"
	}
	for _, row := range []struct{ keys, organisations, says string }{
		{key(1), ``, ""},
		{key(1), `"Example Bank"`, ""},
		{key(1) + "," + key(2), `"Example Bank", "Bäckerei"`, ""},
		{key(1) + "," + key(1), `"Example Bank", "Example Bank"`, ""},
		{key(1), `"Example Bank", "Other"`, "2 names for 1 keys"},
		{key(1) + "," + key(2), `"Example Bank"`, "1 names for 2 keys"},
		{key(1) + "," + key(1), `"Example Bank", "Other"`, `key 2 is of "Example Bank" and of "Other"`},
		{key(1), `""`, "is no name"},
		{key(1), `"a\u001b[31m"`, "is no name"},
		{key(1), `"a\nsigned by b"`, "is no name"},
		{key(1), `"` + strings.Repeat("x", 129) + `"`, "is no name"},
	} {
		text := "format = \"mangos-trust-1\"\n[statements]\nthreshold = 1\nkeys = [" + row.keys + "]\norganisations = [" + row.organisations + "]\n"
		_, err := Parse([]byte(text))
		if !errors.Is(err, ErrInvalid) {
			t.Fatalf("a policy without builders: %v", err)
		}
		if said := strings.Contains(err.Error(), "organisations: "); said != (row.says != "") || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.organisations, err)
		}
	}
}

// TestWhose: a key is known by its bytes.
func TestWhose(t *testing.T) {
	var s Statements
	ids := make([]string, 3)
	for i := range ids {
		k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, ed25519.SeedSize)).Public()
		id, err := keys.KeyID(k)
		if err != nil {
			t.Fatal(err)
		}
		if ids[i] = id; i < 2 {
			s.Keys = append(s.Keys, k)
		}
	}
	if name, ok := s.Whose(ids[1]); !ok || name != "" {
		t.Errorf("a key without a name: %q, %v", name, ok)
	}
	s.Organisations = []string{"one", "two"}
	for i, want := range []string{"one", "two", ""} {
		if name, ok := s.Whose(ids[i]); ok != (want != "") || name != want {
			t.Errorf("key %d is of %q, %v", i, name, ok)
		}
	}
	if _, ok := s.Whose(""); ok {
		t.Error("no key is one of the policy")
	}
}

// TestHasFile: the same certificate in any of its forms, under the name of its role.
func TestHasFile(t *testing.T) {
	block := &pem.Block{Type: "CERTIFICATE", Bytes: []byte("DER")}
	plain := string(pem.EncodeToMemory(block))
	digest := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	var i Image
	if i.HasFile("verity.crt", digest(plain)) {
		t.Error("an empty policy has a file")
	}
	i.addFile(keys.Verity, "\nby hand\n"+plain)
	for form, text := range map[string]string{"plain": plain, "DER": "DER", "as it stands": "by hand\n" + plain, "cut": strings.TrimSpace("by hand\n" + plain)} {
		if !i.HasFile("verity.crt", digest(text)) {
			t.Errorf("not there: %s", form)
		}
		if i.HasFile("secure-boot.crt", digest(text)) {
			t.Errorf("for another role: %s", form)
		}
	}
	if i.HasFile("verity.crt", digest(plain+"x")) {
		t.Error("another file")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small(f))
	f.Add(strings.Replace(small(f), "threshold = 1", "threshold = 2", 1))
	f.Add("format = \"mangos-trust-1\"\n[[suites]]\nname = \"trixie\"\nsigners = [\"A\"]\nkeys = [\"\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse([]byte(text))
		switch {
		case err == nil && (p.Statements.Threshold < 1 || len(p.Statements.Keys) < p.Statements.Threshold):
			t.Errorf("%d keys for a threshold of %d", len(p.Statements.Keys), p.Statements.Threshold)
		case err != nil && !errors.Is(err, ErrInvalid):
			t.Errorf("not ErrInvalid: %v", err)
		}
	})
}
