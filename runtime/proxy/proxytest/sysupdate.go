package proxytest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ulikunitz/xz"

	"github.com/mastercard/mangos/runtime/install/installtest"
)

// Noise is a MiB that does not become small by compression, the same each time.
var Noise = func() string {
	raw := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(raw)
	return string(raw)
}()

// Compressed is the content as a release's file that ends in .xz.
func Compressed(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err == nil {
		if _, err = io.WriteString(w, content); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Keyring writes the release key into a file in the form that systemd-sysupdate wants
// as import-pubring.gpg, and returns its path.
func Keyring(t testing.TB) string {
	t.Helper()
	block, err := armor.Decode(bytes.NewReader(installtest.ReleaseKey().Public))
	if err != nil {
		t.Fatal(err)
	}
	key, err := io.ReadAll(block.Body)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "import-pubring.gpg")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
