package sign_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

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
		if _, err := sign.OpenKey(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	fromFile, _ := sign.OpenKey(uri)
	if direct, _ := sign.OpenKey("pkcs11:token=mangos;object=verity"); fromFile != direct {
		t.Error("a URI in a file is another than the URI itself")
	}
	two := filepath.Join(t.TempDir(), "two")
	if err := os.WriteFile(two, []byte("pkcs11:a\npkcs11:b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "/no/such/key", keys.File("verity.crt"), keys.File("release.gpg"), two} {
		if _, err := sign.OpenKey(bad); !errors.Is(err, sign.ErrKey) {
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
	first, err := sign.Release(text, keys.File("release.key"), keys.File("release.pub"), time.Unix(1000, 0))
	if err != nil {
		t.Fatal(err)
	}
	again, err := sign.Release(text, keys.File("release.key"), keys.File("release.pub"), time.Unix(1000, 0))
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
		if _, err := sign.Release(text, bad, keys.File("release.pub"), time.Unix(1000, 0)); !errors.Is(err, sign.ErrKey) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
