package bundle

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/provenance"
	"github.com/mastercard/mangos/attest/statement"
)

const artifact = "the artifact"

// hash is the SHA-256 of a text, in hexadecimal.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// example is a bundle of a provenance statement about artifact.
func example(t testing.TB) []byte {
	t.Helper()
	s, err := provenance.New([]statement.Descriptor{{Name: "artifact", Digest: map[string]string{"sha256": hash(artifact)}}}, provenance.Predicate{
		BuildDefinition: provenance.BuildDefinition{ExternalParameters: provenance.ExternalParameters{Step: "x", Command: []string{"x"}}},
		RunDetails:      provenance.RunDetails{Builder: provenance.Builder{ID: provenance.LocalBuilder}},
	})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, statement.PayloadType, payload)
}

func sign(t testing.TB, kind string, payload []byte) []byte {
	t.Helper()
	e, err := dsse.Sign(kind, payload, key(1))
	if err != nil {
		t.Fatal(err)
	}
	data, err := Encode(e, key(1).Public())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParse(t *testing.T) {
	data := example(t)
	e, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Verify([]crypto.PublicKey{key(1).Public()}, 1); err != nil {
		t.Error(err)
	}
	again, err := Encode(e, key(1).Public())
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("the same bundle has two forms: %v", err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil || len(v) != 3 {
		t.Errorf("fields: %v, %v", v, err)
	}
}

// broken are bundles that must be refused, by us and by cosign.
func broken(t testing.TB) map[string][]byte {
	good := string(example(t))
	_, signature, _ := strings.Cut(good, `"signatures":[`)
	signature, _, _ = strings.Cut(signature, `]`)
	return map[string][]byte{
		"two signatures": []byte(strings.Replace(good, signature, signature+","+signature, 1)),
		"no signature":   []byte(strings.Replace(good, signature, "", 1)),
		"added field":    []byte(strings.Replace(good, `{"mediaType"`, `{"extra":1,"mediaType"`, 1)),
		"media type":     []byte(strings.Replace(good, "v0.3", "v0.4", 1)),
		"duplicate key":  []byte(strings.Replace(good, `{"mediaType"`, `{"dsseEnvelope":{},"mediaType"`, 1)),
		"payload type":   []byte(strings.Replace(good, statement.PayloadType, "application/vnd.in-toto+jsoo", 1)),
		"empty":          nil,
		"truncated":      []byte(good[:len(good)/2]),
	}
}

func TestRefusals(t *testing.T) {
	for name, data := range broken(t) {
		e, err := Parse(data)
		if err == nil {
			_, err = e.Verify([]crypto.PublicKey{key(1).Public()}, 1)
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, change := range map[string][2]string{
		"key in another case": {`"dsseEnvelope"`, `"DsseEnvelope"`},
		"certificate":         {`"publicKey":`, `"certificate":{},"publicKey":`},
		"no public key":       {`"publicKey":`, `"x509CertificateChain":`},
	} {
		data := strings.Replace(string(example(t)), change[0], change[1], 1)
		if _, err := Parse([]byte(data)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

// TestReadLarge: a bundle of 2 GB is refused without reading it.
func TestReadLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(2 << 30); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); !errors.Is(err, ErrFormat) {
		t.Errorf("%v, want ErrFormat", err)
	}
}

// TestCosign: Debian's cosign takes our bundles, and refuses what must be
// refused.
func TestCosign(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for n, name := range map[byte]string{1: "key.pub", 2: "other.pub"} {
		text, err := keys.EncodePublic(key(n).Public())
		if err != nil {
			t.Fatal(err)
		}
		write(name, text)
	}
	write("artifact", []byte(artifact))
	write("flipped", []byte("The artifact"))
	write("bundle", example(t))
	verify := func(keyFile, kind, bundle, file string) []string {
		return oracle.Attestation(t, dir, keyFile, kind, bundle, file)
	}
	oracle.Run(t, dir, "cosign", verify("key.pub", "slsaprovenance1", "bundle", "artifact")...)
	oracle.Refuse(t, dir, "cosign", verify("key.pub", "slsaprovenance1", "bundle", "flipped")...)
	oracle.Refuse(t, dir, "cosign", verify("other.pub", "slsaprovenance1", "bundle", "artifact")...)
	// Debian 13's cosign (2.5.0) does not look at --type in this format; later
	// ones do. Our own verification never takes the type from its caller.
	if !strings.Contains(oracle.Run(t, dir, "cosign", "version"), "devel") {
		oracle.Refuse(t, dir, "cosign", verify("key.pub", "spdxjson", "bundle", "artifact")...)
	}
	for _, data := range broken(t) {
		write("broken", data)
		oracle.Refuse(t, dir, "cosign", verify("key.pub", "slsaprovenance1", "broken", "artifact")...)
	}
}

// TestOpenSSL: openssl alone verifies the signature over the PAE.
func TestOpenSSL(t *testing.T) {
	dir := t.TempDir()
	var v struct {
		DSSEEnvelope struct {
			Payload    string
			Signatures []struct{ Sig string }
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(example(t), &v); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(v.DSSEEnvelope.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(v.DSSEEnvelope.Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := keys.EncodePublic(key(1).Public())
	if err != nil {
		t.Fatal(err)
	}
	pae := fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload)
	for name, data := range map[string][]byte{"pae": pae, "sig": sig, "pub": pub} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	oracle.Run(t, dir, "openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub", "-in", "pae", "-sigfile", "sig")
}

func FuzzParse(f *testing.F) {
	f.Add(example(f))
	for _, data := range broken(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := Parse(data); err == nil && len(e.Signatures) != 1 {
			t.Errorf("%d signatures", len(e.Signatures))
		}
	})
}
