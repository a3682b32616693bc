// Package imagetest makes keys and small inputs for tests of image steps.
package imagetest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Keys is a folder with the key files of an organisation.
type Keys string

// File returns the path of a file: "verity.key", say.
func (k Keys) File(name string) string { return filepath.Join(string(k), name) }

// NewKeys makes keys for all roles. The organisation stands in the
// certificates.
func NewKeys(t testing.TB, organisation string) Keys {
	t.Helper()
	k := Keys(t.TempDir())
	for _, role := range []string{"secure-boot", "verity", "pcr"} {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		k.pem(t, role+".key", "PRIVATE KEY", der)
		if role == "pcr" {
			if der, err = x509.MarshalPKIXPublicKey(&private.PublicKey); err != nil {
				t.Fatal(err)
			}
			k.pem(t, "pcr.pub", "PUBLIC KEY", der)
			continue
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: organisation + " " + role},
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(4e9, 0),
		}
		if der, err = x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private); err != nil {
			t.Fatal(err)
		}
		k.pem(t, role+".crt", "CERTIFICATE", der)
	}
	k.release(t, organisation)
	return k
}

func (k Keys) release(t testing.TB, organisation string) {
	t.Helper()
	entity, err := openpgp.NewEntity(organisation, "", "", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	var private, public bytes.Buffer
	w, err := armor.Encode(&private, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := entity.SerializePrivate(w, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := entity.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	k.write(t, "release.key", private.Bytes())
	k.write(t, "release.gpg", public.Bytes())
}

func (k Keys) pem(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	k.write(t, name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (k Keys) write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(k.File(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Lay makes files with these contents below a new folder, which it returns.
func Lay(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
