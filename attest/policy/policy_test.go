package policy

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
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
