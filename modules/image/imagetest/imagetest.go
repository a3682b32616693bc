// Package imagetest makes keys and small inputs for tests of image steps.
package imagetest

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/mastercard/mangos/attest/keys"
)

// Keys is a folder with the key files of an organisation.
type Keys string

// File returns the path of a file: "verity.key", say.
func (k Keys) File(name string) string { return filepath.Join(string(k), name) }

// NewKeys makes keys for all roles, and release.gpg, a keyring for gpgv. The
// organisation stands in the certificates.
func NewKeys(t testing.TB, organisation string) Keys {
	t.Helper()
	k := Keys(t.TempDir())
	small := map[keys.Role]int{keys.Verity: 2048}
	if _, err := keys.Generate(string(k), keys.Options{Organisation: organisation, Bits: small}); err != nil {
		t.Fatal(err)
	}
	armored, err := os.ReadFile(k.File("release.pub"))
	if err != nil {
		t.Fatal(err)
	}
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := io.ReadAll(block.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.File("release.gpg"), ring, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
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
