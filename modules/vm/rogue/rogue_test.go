package rogue

import (
	"crypto/x509/pkix"
	"errors"
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

// An EFI program that is signed verifies with the certificate of its key and with no
// other, and one whose signature is taken off with none.
func TestSignEFI(t *testing.T) {
	for _, program := range []string{"sbsign", "sbattach", "sbverify"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program)
		}
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
	plain, signed, stripped, again := filepath.Join(dir, "plain"), filepath.Join(dir, "signed"), filepath.Join(dir, "stripped"), filepath.Join(dir, "again")
	if err := os.WriteFile(plain, AddOn("quiet"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		mine.SignEFI(t.Context(), plain, signed),
		Strip(t.Context(), signed, stripped),
		other.SignEFI(t.Context(), stripped, again),
	); err != nil {
		t.Fatal(err)
	}
	verifies := func(k Keys, program string) bool {
		return exec.Command("sbverify", "--cert", k.Certificate, program).Run() == nil
	}
	for program, want := range map[string][2]bool{plain: {}, signed: {true, false}, stripped: {}, again: {false, true}} {
		if got := [2]bool{verifies(mine, program), verifies(other, program)}; got != want {
			t.Errorf("%s verifies with mine and other: %v, want %v", filepath.Base(program), got, want)
		}
	}
}
