package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/internal/oracle"
)

// generateAll makes a full try-out set once for the tests that only read it.
func generateAll(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := Generate(dir, Options{Organisation: "Example & Söhne", TryOut: true, Bits: map[Role]int{Verity: 2048}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGenerate(t *testing.T) {
	dir := generateAll(t)
	for _, r := range Roles() {
		st, err := os.Stat(filepath.Join(dir, PrivateName(r)))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", st.Name(), st.Mode().Perm())
		}
	}
	infos, err := DescribeDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(infos) != 10 {
		t.Errorf("%d key files described, want 10", len(infos))
	}
	for _, i := range infos {
		if i.Subject != "" && !i.TryOut {
			t.Errorf("%s is not marked as try-out", i.File)
		}
		if i.Kind == "certificate" && !strings.Contains(i.Subject, "unfit for use") {
			t.Errorf("%s does not name the organisation of try-out keys: %s", i.File, i.Subject)
		}
		if i.Fingerprint == "" {
			t.Errorf("%s has no fingerprint", i.File)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestGenerateNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "attest.pub")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Generate(dir, Options{Roles: []Role{Release, Attest}})
	if !errors.Is(err, ErrExists) {
		t.Fatalf("got %v, want ErrExists", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("something was written: %v", entries)
	}
	if got, _ := os.ReadFile(taken); string(got) != "mine" {
		t.Errorf("the file was overwritten with %q", got)
	}
}

// TestWriteAllLeavesNothing: a file that appears between the check and the
// write must not be overwritten, and the others must not stay.
func TestWriteAllLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := writeAll(dir, []file{{"a", 0o600, []byte("x")}, {"b", 0o600, []byte("y")}})
	if !errors.Is(err, ErrExists) {
		t.Fatalf("got %v, want ErrExists", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || entries[0].Name() != "b" {
		t.Errorf("left behind: %v", entries)
	}
}

func TestLimits(t *testing.T) {
	big, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Roles() {
		if err := Check(r, big.Public()); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s accepts RSA-3072: %v", r, err)
		}
		if err := Check(r, ec.Public()); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s accepts ECDSA: %v", r, err)
		}
	}
	_, err = Generate(t.TempDir(), Options{Bits: map[Role]int{PCR: 4096}})
	if !errors.Is(err, ErrAlgorithm) || !strings.Contains(err.Error(), "TPMs refuse") {
		t.Errorf("RSA-4096 for pcr: %v; want a refusal with the reason", err)
	}
	for _, name := range []string{"a\nb", "a\x1bb", "<a>", strings.Repeat("x", 200), "a\xff"} {
		if _, err := Generate(t.TempDir(), Options{Organisation: name}); err == nil {
			t.Errorf("organisation %q accepted", name)
		}
	}
}

func TestCertificateIsAFunctionOfItsKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Certify(Verity, key, "name", "organisation")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Certify(Verity, key, "name", "organisation")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same key gave two certificates")
	}
	c, err := x509.ParseCertificate(a)
	if err != nil {
		t.Fatal(err)
	}
	if c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("CA %v, key usage %v", c.IsCA, c.KeyUsage)
	}
	if c.SerialNumber.Sign() <= 0 || len(c.SerialNumber.Bytes()) != 16 {
		t.Errorf("serial number %x", c.SerialNumber)
	}
}

func TestLargestCertificateFits(t *testing.T) {
	dir := t.TempDir()
	if _, err := Generate(dir, Options{Roles: []Role{Verity}, Organisation: strings.Repeat("ß", 64), TryOut: true}); err != nil {
		t.Fatal(err)
	}
	c, err := LoadCertificate(Verity, filepath.Join(dir, "verity.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if k := c.PublicKey.(*rsa.PublicKey); k.N.BitLen() != 4096 || len(c.Raw) >= MaxCertificate {
		t.Errorf("RSA-%d, %d bytes", k.N.BitLen(), len(c.Raw))
	}
}

func TestReadersRefuse(t *testing.T) {
	dir := generateAll(t)
	good, err := os.ReadFile(filepath.Join(dir, "attest.pub"))
	if err != nil {
		t.Fatal(err)
	}
	private, err := os.ReadFile(filepath.Join(dir, "attest.key"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"empty":           nil,
		"two blocks":      append(append([]byte{}, good...), good...),
		"text before":     append([]byte("hello\n"), good...),
		"text after":      append(append([]byte{}, good...), "hello"...),
		"truncated":       good[:len(good)/2],
		"private key":     private,
		"too large":       append(append([]byte{}, good...), bytes.Repeat([]byte("\n"), MaxFile)...),
		"wrong DER":       pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
		"no such type":    pem.EncodeToMemory(&pem.Block{Type: "KEY", Bytes: []byte("x")}),
		"wrong X.509 DER": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	}
	for name, data := range cases {
		if _, err := ParsePublic(data); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	enc := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte("x")})
	if _, err := ParsePrivate(enc); !errors.Is(err, ErrEncrypted) {
		t.Errorf("encrypted key: %v, want ErrEncrypted", err)
	}
	if _, err := LoadPublic(PCR, filepath.Join(dir, "attest.pub")); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("attest key as pcr key: %v, want ErrAlgorithm", err)
	}
	if err := os.Rename(filepath.Join(dir, "pcr.pub"), filepath.Join(dir, "attest.pub")); err != nil {
		t.Fatal(err)
	}
	if _, err := Describe(filepath.Join(dir, "attest.pub")); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("RSA key under the name attest.pub: %v, want ErrAlgorithm", err)
	}
}

func TestSums(t *testing.T) {
	dir := generateAll(t)
	private, _ := os.ReadFile(filepath.Join(dir, "release.key"))
	public, _ := os.ReadFile(filepath.Join(dir, "release.pub"))
	data := "0000  file\n"
	at := time.Unix(1700000000, 0)
	sig, err := SignSums(private, strings.NewReader(data), at)
	if err != nil {
		t.Fatal(err)
	}
	again, err := SignSums(private, strings.NewReader(data), at)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sig, again) {
		t.Error("two signatures of the same bytes differ")
	}
	if err := VerifySums(public, sig, strings.NewReader(data)); err != nil {
		t.Error(err)
	}
	if err := VerifySums(public, sig, strings.NewReader(data+"x")); err == nil {
		t.Error("other bytes verify")
	}
	other, _ := os.ReadFile(filepath.Join(generateAll(t), "release.pub"))
	if err := VerifySums(other, sig, strings.NewReader(data)); err == nil {
		t.Error("another key verifies")
	}
	if _, err := SignSums(public, strings.NewReader(data), at); err == nil {
		t.Error("a public key signs")
	}
}

// TestGnuPG: GnuPG reads our keys and verifies our signature, and we verify
// what it signs with our key.
func TestGnuPG(t *testing.T) {
	dir := generateAll(t)
	home := filepath.Join(t.TempDir(), "h")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	private, _ := os.ReadFile(filepath.Join(dir, "release.key"))
	public, _ := os.ReadFile(filepath.Join(dir, "release.pub"))
	sig, err := SignSums(private, strings.NewReader("data"), time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"data": []byte("data"), "sig": sig} {
		if err := os.WriteFile(filepath.Join(home, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	oracle.Run(t, home, "gpg", "--batch", "--import", filepath.Join(dir, "release.pub"))
	oracle.Run(t, home, "gpg", "--batch", "--verify", "sig", "data")
	oracle.Run(t, home, "gpg", "--batch", "--export", "-o", "ring.gpg")
	oracle.Run(t, home, "gpgv", "--keyring", "./ring.gpg", "sig", "data")
	oracle.Run(t, home, "gpg", "--batch", "--import", filepath.Join(dir, "release.key"))
	oracle.Run(t, home, "gpg", "--batch", "--detach-sign", "-o", "theirs", "data")
	theirs, _ := os.ReadFile(filepath.Join(home, "theirs"))
	if err := VerifySums(public, theirs, strings.NewReader("data")); err != nil {
		t.Error(err)
	}
	oracle.Run(t, home, "gpgconf", "--kill", "all")
}

// TestOpenSSL: openssl sees the same keys under the same fingerprints.
func TestOpenSSL(t *testing.T) {
	dir := generateAll(t)
	for _, name := range []string{"secure-boot.crt", "verity.crt"} {
		out := oracle.Run(t, dir, "openssl", "x509", "-in", name, "-noout", "-fingerprint", "-sha256")
		info, err := Describe(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, hex, _ := strings.Cut(strings.TrimSpace(out), "=")
		if strings.ToLower(strings.ReplaceAll(hex, ":", "")) != info.Fingerprint {
			t.Errorf("%s: openssl says %s, we %s", name, hex, info.Fingerprint)
		}
	}
	oracle.Run(t, dir, "openssl", "rsa", "-pubin", "-in", "pcr.pub", "-RSAPublicKey_out", "-outform", "DER", "-out", "pcr.der")
	out := oracle.Run(t, dir, "openssl", "dgst", "-sha256", "-r", "pcr.der")
	info, err := Describe(filepath.Join(dir, "pcr.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, info.Fingerprint+" ") {
		t.Errorf("pkfp: openssl says %s, we %s", out, info.Fingerprint)
	}
	oracle.Run(t, dir, "openssl", "verify", "-purpose", "any", "-CAfile", "secure-boot.crt", "secure-boot.crt")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxjMEOG1DgBYJKwYBBAHaRw8BAQdA\n-----END PGP PUBLIC KEY BLOCK-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := ParsePublic(data); err == nil {
			if _, err := KeyID(k); err != nil {
				t.Errorf("a parsed key has no id: %v", err)
			}
		}
		ParsePrivate(data)
		if len(data) <= MaxFile {
			readOpenPGP(data)
		}
	})
}
