package sign_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/imagetest"
	"github.com/mastercard/mangos/modules/image/sign"
)

func TestOpenKey(t *testing.T) {
	keys := imagetest.NewKeys(t, "Example")
	uri := filepath.Join(t.TempDir(), "uri")
	if err := os.WriteFile(uri, []byte("pkcs11:token=mangos;object=verity\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{keys.File("verity.key"), uri, "pkcs11:token=mangos"} {
		if _, err := sign.OpenKey(good, nil); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	fromFile, _ := sign.OpenKey(uri, nil)
	if direct, _ := sign.OpenKey("pkcs11:token=mangos;object=verity", nil); fromFile != direct {
		t.Error("a URI in a file is another than the URI itself")
	}
	two := filepath.Join(t.TempDir(), "two")
	if err := os.WriteFile(two, []byte("pkcs11:a\npkcs11:b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "/no/such/key", keys.File("verity.crt"), keys.File("release.gpg"), two} {
		if _, err := sign.OpenKey(bad, nil); !errors.Is(err, sign.ErrKey) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReadCertificate(t *testing.T) {
	keys := imagetest.NewKeys(t, "Example")
	c, err := sign.ReadCertificate(keys.File("verity.crt"))
	if err != nil || c.IsTryOut() {
		t.Errorf("%v, %v", c, err)
	}
	try, err := sign.ReadCertificate(imagetest.NewKeys(t, "TRY-OUT Example").File("secure-boot.crt"))
	if err != nil || !try.IsTryOut() {
		t.Errorf("%v, %v", try, err)
	}
	if all, err := sign.AreTryOut(c, c); err != nil || all {
		t.Errorf("an organisation's: %v, %v", all, err)
	}
	if all, err := sign.AreTryOut(try, try); err != nil || !all {
		t.Errorf("try-out: %v, %v", all, err)
	}
	for _, both := range [][]*sign.Certificate{{c, try}, {try, c}} {
		if _, err := sign.AreTryOut(both...); !errors.Is(err, sign.ErrMixed) {
			t.Errorf("both: %v", err)
		}
	}
	one, err := os.ReadFile(keys.File("verity.crt"))
	if err != nil {
		t.Fatal(err)
	}
	dir := imagetest.Lay(t, map[string]string{"two": string(one) + string(one), "none": "x", "broken": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"})
	for _, bad := range []string{"two", "none", "broken", "missing"} {
		if _, err := sign.ReadCertificate(filepath.Join(dir, bad)); !errors.Is(err, sign.ErrKey) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestRelease(t *testing.T) {
	keys := imagetest.NewKeys(t, "Example")
	text := []byte("0123  file\n")
	first, err := sign.Release(text, keys.File("release.key"), keys.File("release.pub"), nil, time.Unix(1000, 0))
	if err != nil {
		t.Fatal(err)
	}
	again, err := sign.Release(text, keys.File("release.key"), keys.File("release.pub"), nil, time.Unix(1000, 0))
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("two signatures over the same text differ (%v)", err)
	}
	f, err := os.Open(keys.File("release.gpg"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ring, err := openpgp.ReadKeyRing(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openpgp.CheckDetachedSignature(ring, bytes.NewReader(text), bytes.NewReader(first), nil); err != nil {
		t.Error(err)
	}
	other := imagetest.NewKeys(t, "Other").File("release.key")
	uri := filepath.Join(imagetest.Lay(t, map[string]string{"uri": "pkcs11:token=a"}), "uri")
	for _, bad := range []string{keys.File("release.gpg"), keys.File("verity.key"), "/no/such/key", other, uri} {
		if _, err := sign.Release(text, bad, keys.File("release.pub"), nil, time.Unix(1000, 0)); !errors.Is(err, sign.ErrKey) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A key under a passphrase signs as it does without.
func TestSealedKey(t *testing.T) {
	dir := imagetest.NewKeys(t, "Example")
	cert, err := sign.ReadCertificate(dir.File("verity.crt"))
	if err != nil {
		t.Fatal(err)
	}
	seal := func(b []byte) ([]byte, error) { return keys.Seal(b, []byte("secret words")) }
	asked := ""
	ask := func(path string) ([]byte, error) { asked = filepath.Base(path); return []byte("secret words"), nil }
	signRoot := func(key string) []byte {
		k, err := sign.OpenKey(key, ask)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sign.Verity(context.Background(), verity.RootHash{1}, k, cert)
		if err != nil {
			t.Fatal(err)
		}
		return s.PKCS7
	}
	signSums := func(key string) []byte {
		s, err := sign.Release([]byte("0123 *file\n"), key, dir.File("release.pub"), ask, time.Unix(1e9, 0))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for role, run := range map[string]func(string) []byte{"verity": signRoot, "release": signSums} {
		sealed := filepath.Join(t.TempDir(), role)
		if err := keys.Convert(dir.File(role+".key"), sealed, seal); err != nil {
			t.Fatal(err)
		}
		if want := run(dir.File(role + ".key")); asked != "" {
			t.Errorf("%s: asked for a passphrase that the key has not", role)
		} else if got := run(sealed); !bytes.Equal(got, want) || asked != role {
			t.Errorf("%s: another signature with a key under a passphrase", role)
		}
		asked = ""
	}
	sealed := filepath.Join(t.TempDir(), "verity")
	if err := keys.Convert(dir.File("verity.key"), sealed, seal); err != nil {
		t.Fatal(err)
	}
	if _, err := sign.OpenKey(sealed, func(string) ([]byte, error) { return []byte("wrong"), nil }); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := sign.OpenKey(sealed, nil); !errors.Is(err, keys.ErrEncrypted) {
		t.Errorf("no passphrase: %v", err)
	}
}

func FuzzReadCertificate(f *testing.F) {
	path := filepath.Join(f.TempDir(), "certificate")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		f.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	f.Add(text)
	f.Add(append(bytes.Clone(text), text...))
	f.Add(append([]byte("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"), text...))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := sign.ReadCertificate(path)
		if err != nil {
			if !errors.Is(err, sign.ErrKey) {
				t.Fatal(err)
			}
			return
		}
		if bytes.Count(text, []byte("-----BEGIN CERTIFICATE-----")) != 1 || c.Fingerprint() != sha256.Sum256(c.Raw) {
			t.Fatalf("took %q", text)
		}
	})
}
