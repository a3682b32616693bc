package offline_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
)

func generate(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := keys.Generate(dir, keys.Options{Organisation: "Example", Bits: map[keys.Role]int{keys.Verity: 2048}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func public(t *testing.T, dir string, role keys.Role) crypto.PublicKey {
	t.Helper()
	k, err := keys.LoadPublic(role, filepath.Join(dir, keys.PublicName(role)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// requests are one for each role, by the keys in dir.
func requests(t *testing.T, dir string) []offline.Request {
	t.Helper()
	var list []offline.Request
	for _, role := range keys.Roles() {
		if role == keys.Release {
			continue
		}
		r, err := offline.New(role, "what "+string(role), []byte("message for "+string(role)), public(t, dir, role))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	armored, err := os.ReadFile(filepath.Join(dir, keys.PublicName(keys.Release)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := offline.NewRelease([]byte("0123 *file\n"), armored)
	if err != nil {
		t.Fatal(err)
	}
	return append(list, r)
}

// The commands in the list, run where the keys are, make the signatures.
func TestElsewhere(t *testing.T) {
	keyDir, dir := generate(t), t.TempDir()
	list := requests(t, keyDir)
	none, err := offline.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if _, err := none.Find(r); !errors.Is(err, offline.ErrMissing) {
			t.Errorf("%s: %v", r.What, err)
		}
	}
	if got := none.Missing(); len(got) != len(list) {
		t.Fatalf("%d requests are missing, want %d", len(got), len(list))
	}
	if err := offline.Export(dir, none.Missing()); err != nil {
		t.Fatal(err)
	}
	elsewhere(t, keyDir, dir)
	signatures, err := offline.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if _, err := signatures.Find(r); err != nil {
			t.Error(err)
		}
	}
	if n := len(signatures.Missing()); n != 0 {
		t.Errorf("%d requests are missing still", n)
	}
}

// elsewhere runs the commands of the list in dir.
func elsewhere(t *testing.T, keyDir, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, offline.ListName))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		switch args := strings.Fields(line); {
		case len(args) == 0:
		case args[0] == "openssl":
			for i, a := range args {
				if strings.HasSuffix(a, ".key") {
					args[i] = filepath.Join(keyDir, a)
				}
			}
			oracle.Run(t, dir, args[0], args[1:]...)
		case args[0] == "gpg":
			gpg := []string{"--homedir", t.TempDir(), "--batch", "--quiet"}
			oracle.Run(t, dir, "gpg", append(gpg, "--import", filepath.Join(keyDir, "release.key"))...)
			oracle.Run(t, dir, "gpg", append(gpg, args[1:]...)...)
		}
	}
}

func TestFind(t *testing.T) {
	keyDir, other, dir := generate(t), generate(t), t.TempDir()
	list := requests(t, keyDir)
	key, err := os.ReadFile(filepath.Join(keyDir, "release.key"))
	if err != nil {
		t.Fatal(err)
	}
	sums := list[len(list)-1]
	good, err := keys.SignSums(key, bytes.NewReader(sums.Message), time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signatures, err := offline.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	find := func(r offline.Request) error { _, err := signatures.Find(r); return err }
	put(sums.Name()+".sig", good)
	if err := find(sums); err != nil {
		t.Error(err)
	}
	if err := find(requests(t, other)[len(list)-1]); !errors.Is(err, offline.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "cut off": good[:len(good)-1], "large": make([]byte, 1<<17), "other bytes": bytes.Repeat([]byte{7}, 256),
	} {
		for _, r := range list {
			put(r.Name()+".sig", content)
			if err := find(r); !errors.Is(err, offline.ErrSignature) {
				t.Errorf("%s, %s: %v", r.Role, name, err)
			}
		}
	}
	if len(signatures.Missing()) > 0 {
		t.Error("a bad signature counts as missing")
	}
	if err := os.Remove(filepath.Join(dir, list[0].Name()+".sig")); err != nil {
		t.Fatal(err)
	}
	if err := find(list[0]); !errors.Is(err, offline.ErrMissing) || !strings.Contains(err.Error(), list[0].Name()) {
		t.Errorf("missing: %v", err)
	}
}

// An envelope is made with a signature from elsewhere as with the key itself.
func TestSigner(t *testing.T) {
	keyDir, dir := generate(t), t.TempDir()
	key, err := keys.LoadPrivate(keys.Attest, filepath.Join(keyDir, "attest.key"))
	if err != nil {
		t.Fatal(err)
	}
	const kind = "application/vnd.in-toto+json"
	payload := []byte(`{"a":1}`)
	want, err := dsse.Sign(kind, payload, key)
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := offline.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	signer := signatures.Signer(keys.Attest, "statement", key.Public().(ed25519.PublicKey))
	if _, err := dsse.Sign(kind, payload, signer); !errors.Is(err, offline.ErrMissing) {
		t.Fatalf("without a signature: %v", err)
	}
	missing := signatures.Missing()
	if len(missing) != 1 || !bytes.Equal(missing[0].Message, dsse.PAE(kind, payload)) {
		t.Fatalf("requests %v", missing)
	}
	if err := offline.Export(dir, missing); err != nil {
		t.Fatal(err)
	}
	elsewhere(t, keyDir, dir)
	got, err := dsse.Sign(kind, payload, signer)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Signatures[0], want.Signatures[0]) {
		t.Errorf("signed elsewhere %x, here %x", got.Signatures[0], want.Signatures[0])
	}
}

// What a hostile name may not do to the list.
func TestList(t *testing.T) {
	keyDir := generate(t)
	r, err := offline.New(keys.Attest, "a\n  openssl \x1b[2J", []byte("x"), public(t, keyDir, keys.Attest))
	if err != nil {
		t.Fatal(err)
	}
	text := offline.List([]offline.Request{r})
	if strings.Contains(text, "\x1b") || strings.Count(text, "\n  openssl") != 1 {
		t.Errorf("%q", text)
	}
	if !strings.Contains(offline.List(nil), "Nothing") {
		t.Error("an empty list does not say so")
	}
}
