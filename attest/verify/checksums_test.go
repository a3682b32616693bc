package verify

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/keys"
)

// TestSignatureBits: the signature of the checksums with any bit changed, or cut off
// anywhere, is none.
func TestSignatureBits(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := keys.Generate(dir, keys.Options{Organisation: "Example", Roles: []keys.Role{keys.Release}}); err != nil {
		t.Fatal(err)
	}
	halves := map[string][]byte{}
	for _, name := range []string{"release.key", "release.pub"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		halves[name] = b
	}
	sums := []byte(strings.Repeat("0", 64) + " *a\n")
	good, err := keys.SignSums(halves["release.key"], bytes.NewReader(sums), time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	check := func(signature []byte) error {
		r := &folder{files: map[string]*file{sumsName: {data: sums}, signatureName: {data: signature}}}
		_, err := checkSumsSignature(r, [][]byte{halves["release.pub"]})
		return err
	}
	if err := check(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if err := check(good[:i]); err == nil || !strings.Contains(err.Error(), signatureName) {
			t.Errorf("%d bytes of %d: %v", i, len(good), err)
		}
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if err := check(bad); err == nil || !strings.Contains(err.Error(), signatureName) {
				t.Errorf("bit %d of byte %d: %v", bit, i, err)
			}
		}
	}
}
