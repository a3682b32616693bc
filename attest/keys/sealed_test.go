package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/mastercard/mangos/attest/internal/oracle"
)

var correct = []byte("correct horse")

func content(t *testing.T, dir string, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSeal(t *testing.T) {
	dir := generateAll(t)
	for _, r := range Roles() {
		plain := content(t, dir, PrivateName(r))
		sealed, err := Seal(plain, correct)
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		if Sealed(plain) || !Sealed(sealed) || bytes.Contains(sealed, plain[40:80]) {
			t.Errorf("%s is not sealed", r)
		}
		opened, err := Open(sealed, correct)
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		if r != Release && !bytes.Equal(opened, plain) {
			t.Errorf("%s: opened it is another file", r)
		}
		if _, err := Open(sealed, []byte("wrong")); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s, wrong passphrase: %v", r, err)
		}
		if _, err := Seal(sealed, correct); !errors.Is(err, ErrSealed) {
			t.Errorf("%s, sealed twice: %v", r, err)
		}
		if _, err := Seal(plain, nil); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s, no passphrase: %v", r, err)
		}
		if _, err := Seal(content(t, dir, PublicName(r)), correct); err == nil {
			t.Errorf("%s: the public half was sealed", r)
		}
	}
}

// The release key signs the same before and after.
func TestSealRelease(t *testing.T) {
	dir, at := generateAll(t), time.Unix(1700000000, 0)
	plain := content(t, dir, "release.key")
	sealed, err := Seal(plain, correct)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SignSums(sealed, strings.NewReader("data"), at); !errors.Is(err, ErrEncrypted) {
		t.Errorf("signed without passphrase: %v", err)
	}
	opened, err := Open(sealed, correct)
	if err != nil {
		t.Fatal(err)
	}
	want, err := SignSums(plain, strings.NewReader("data"), at)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := SignSums(opened, strings.NewReader("data"), at); err != nil || !bytes.Equal(got, want) {
		t.Errorf("another signature (%v)", err)
	}
	// GnuPG opens it too.
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "sealed"), sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	gpg := func(args ...string) string {
		return oracle.Run(t, home, "gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", string(correct)}, args...)...)
	}
	gpg("--import", "sealed")
	if err := os.WriteFile(filepath.Join(home, "data"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	gpg("--detach-sign", "--output", "signature", "data")
	if err := VerifySums(content(t, dir, "release.pub"), content(t, home, "signature"), strings.NewReader("data")); err != nil {
		t.Error(err)
	}
}

func TestGenerateSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := Generate(dir, Options{Roles: []Role{PCR, Release, Attest}, Passphrase: correct}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Role{PCR, Release, Attest} {
		if !Sealed(content(t, dir, PrivateName(r))) {
			t.Errorf("%s is not under the passphrase", r)
		}
	}
	infos, err := DescribeDir(dir)
	if err != nil || len(infos) != 6 || !strings.Contains(infos[0].Kind, "passphrase") || !strings.Contains(infos[2].Kind, "passphrase") {
		t.Errorf("%v, %v", infos, err)
	}
	path := filepath.Join(dir, "attest.key")
	if _, err := LoadPrivate(Attest, path); !errors.Is(err, ErrEncrypted) {
		t.Errorf("loaded without a passphrase: %v", err)
	}
	asked := 0
	s, err := LoadPrivateWith(Attest, path, func(string) ([]byte, error) { asked++; return correct, nil })
	if err != nil || asked != 1 {
		t.Fatalf("asked %d times, %v", asked, err)
	}
	pub, err := LoadPublic(Attest, filepath.Join(dir, "attest.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := KeyID(pub); a == "" {
		t.Error("no id")
	} else if b, _ := KeyID(s.Public()); a != b {
		t.Error("the two halves do not belong together")
	}
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	if _, err := Generate(dir, Options{Roles: []Role{Attest}}); err != nil {
		t.Fatal(err)
	}
	from, to := filepath.Join(dir, "attest.key"), filepath.Join(dir, "sealed.key")
	seal := func(b []byte) ([]byte, error) { return Seal(b, correct) }
	if err := Convert(from, to, seal); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(to); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if err := Convert(from, to, seal); !errors.Is(err, ErrExists) {
		t.Errorf("written over: %v", err)
	}
}

// What no writer of the format writes is refused before anything is derived.
func TestOpenRefuses(t *testing.T) {
	good, err := encrypted.Encrypt([]byte("no key"), correct)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no key inside":     string(good),
		"much memory":       strings.Replace(string(good), "65536", "1073741824", 1),
		"no memory":         strings.Replace(string(good), "65536", "2", 1),
		"another r":         strings.Replace(string(good), `"r":8`, `"r":8000`, 1),
		"another function":  strings.Replace(string(good), `"scrypt"`, `"pbkdf2"`, 1),
		"another cipher":    strings.Replace(string(good), "nacl/secretbox", "none", 1),
		"a member more":     strings.Replace(string(good), "{", `{"x":1,`, 1),
		"a member twice":    strings.Replace(string(good), "{", `{"ciphertext":"",`, 1),
		"not JSON":          "x",
		"nothing encrypted": `{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}`,
	} {
		data := pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: []byte(text)})
		if _, err := Open(data, correct); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if _, err := Generate(dir, Options{Roles: []Role{Attest}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(content(t, dir, "attest.key"), correct); !errors.Is(err, ErrFormat) {
		t.Errorf("a key without passphrase: %v", err)
	}
}

// cosign opens what is sealed here, and what it seals is opened here.
func TestCosign(t *testing.T) {
	dir := generateAll(t)
	t.Setenv("COSIGN_PASSWORD", string(correct))
	for _, r := range []Role{Attest, Verity} {
		plain := content(t, dir, PrivateName(r))
		sealed, err := Seal(plain, correct)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sealed.key"), sealed, 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := ParsePrivate(plain)
		if err != nil {
			t.Fatal(err)
		}
		want, err := EncodePublic(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if got := oracle.Run(t, dir, "cosign", "public-key", "--key", "sealed.key"); strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
			t.Errorf("%s: cosign finds the public key\n%s, want\n%s", r, got, want)
		}
	}
	oracle.Run(t, dir, "cosign", "import-key-pair", "--key", "attest.key", "--output-key-prefix", "imported")
	if opened, err := Open(content(t, dir, "imported.key"), correct); err != nil || !bytes.Equal(opened, content(t, dir, "attest.key")) {
		t.Errorf("what cosign sealed is another key here (%v)", err)
	}
	// The key pair that cosign makes is no key of any role, but it is read.
	oracle.Run(t, dir, "cosign", "generate-key-pair", "--output-key-prefix", "made")
	opened, err := Open(content(t, dir, "made.key"), correct)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParsePrivate(opened)
	if err != nil {
		t.Fatal(err)
	}
	if pub, err := x509.MarshalPKIXPublicKey(key.Public()); err != nil || !bytes.Equal(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), content(t, dir, "made.pub")) {
		t.Errorf("cosign's own key pair is another one here (%v)", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"kdf":{"name":"scrypt","params":{"N":1,"r":8,"p":1},"salt":"AA=="},"cipher":{"name":"nacl/secretbox","nonce":"AA=="},"ciphertext":"AA=="}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		data := pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: text})
		if _, err := Open(data, []byte("p")); err == nil {
			t.Error("opened without a key inside")
		}
	})
}
