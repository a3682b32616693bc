package pcr

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"testing"
)

func key(t testing.TB) (*rsa.PrivateKey, []byte) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return k, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestSignature(t *testing.T) {
	private, text := key(t)
	public, err := ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	policy := Value{1, 2, 3}
	digest := sha256.Sum256(policy[:])
	raw, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	section, err := EncodeSignatures([]Signature{{
		PCRs: []int{Kernel}, KeyFingerprint: Fingerprint(public), Policy: policy.String(),
		Signature: base64.StdEncoding.EncodeToString(raw),
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSignatures(append(section, 0))
	if err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	if err := got[0].Verify(public, policy); err != nil {
		t.Error(err)
	}
	if err := got[0].Verify(public, Value{9}); !errors.Is(err, ErrFormat) {
		t.Errorf("another policy: %v", err)
	}
	for name, change := range map[string]func(*Signature){
		"other registers": func(s *Signature) { s.PCRs = []int{7, 11} },
		"another key":     func(s *Signature) { s.KeyFingerprint = "00" },
		"no base64":       func(s *Signature) { s.Signature = "!" },
	} {
		s := got[0]
		change(&s)
		if err := s.Verify(public, policy); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	forged := got[0]
	raw[0] ^= 1
	forged.Signature = base64.StdEncoding.EncodeToString(raw)
	if err := forged.Verify(public, policy); !errors.Is(err, rsa.ErrVerification) {
		t.Errorf("forged: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"sha1":[{}]}`, `{"sha256":{}}`, `{"sha256":[]}`} {
		if _, err := ParseSignatures([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := ParsePublicKey([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseSignatures(f *testing.F) {
	f.Add([]byte(`{"sha256":[{"pcrs":[11],"pkfp":"00","pol":"00","sig":"AA=="}]}`))
	_, text := key(f)
	public, err := ParsePublicKey(text)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		signatures, err := ParseSignatures(b)
		if err != nil {
			return
		}
		for _, s := range signatures {
			if s.Verify(public, Value{}) == nil {
				t.Error("a forged signature")
			}
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	_, text := key(f)
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ParsePublicKey(b); err == nil && k == nil {
			t.Error("no key and no error")
		}
	})
}
