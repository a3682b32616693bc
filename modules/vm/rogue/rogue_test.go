package rogue

import (
	"crypto/x509/pkix"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/format/verity"
)

// The signature is a good one, by the wrong key: openssl verifies it with the rogue
// certificate and not with another one.
func TestSignRoot(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	dir := t.TempDir()
	mine, err := Make(dir, "mine", pkix.Name{CommonName: "one"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := Make(dir, "other", pkix.Name{CommonName: "one"})
	if err != nil {
		t.Fatal(err)
	}
	root := verity.RootHash{1, 2, 3}
	s, err := mine.SignRoot(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if s.Root != root || s.Fingerprint == [32]byte{} {
		t.Errorf("signature %+v", s)
	}
	sig, text := filepath.Join(dir, "sig"), filepath.Join(dir, "text")
	if err := os.WriteFile(sig, s.PKCS7, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, []byte(root.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(k Keys) error {
		return exec.Command("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", sig, "-content", text,
			"-certfile", k.Certificate, "-noverify", "-out", os.DevNull).Run()
	}
	if err := check(mine); err != nil {
		t.Errorf("with its own certificate: %v", err)
	}
	if check(other) == nil {
		t.Error("verified with another certificate of the same name")
	}
}
