package pcr

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
)

// maxSection bounds the size in bytes of a .pcrsig or .pcrpkey section.
const maxSection = 1 << 20

// Signature is a signature over the policy digest of one phase.
type Signature struct {
	PCRs []int `json:"pcrs"`
	// KeyFingerprint is the SHA-256 of the key's PKCS#1 RSAPublicKey, DER.
	KeyFingerprint string `json:"pkfp"`
	// Policy is the signed digest, hexadecimal.
	Policy string `json:"pol"`
	// Signature is RSASSA-PKCS1-v1_5 with SHA-256, base64.
	Signature string `json:"sig"`
}

// ParseSignatures reads a .pcrsig section and returns its SHA-256 bank. It
// checks the form, not the signatures. Errors wrap ErrFormat.
func ParseSignatures(section []byte) ([]Signature, error) {
	if len(section) > maxSection {
		return nil, fmt.Errorf("PCR signatures of %d bytes: %w", len(section), ErrFormat)
	}
	var banks map[string][]Signature
	if err := json.Unmarshal(bytes.TrimRight(section, "\x00"), &banks); err != nil {
		return nil, fmt.Errorf("PCR signatures: %w: %w", ErrFormat, err)
	}
	if len(banks["sha256"]) == 0 {
		return nil, fmt.Errorf("PCR signatures: no SHA-256 bank: %w", ErrFormat)
	}
	return banks["sha256"], nil
}

// ParsePublicKey reads a .pcrpkey section: an RSA public key, PEM.
func ParsePublicKey(section []byte) (*rsa.PublicKey, error) {
	if len(section) > maxSection {
		return nil, fmt.Errorf("PCR key of %d bytes: %w", len(section), ErrFormat)
	}
	block, _ := pem.Decode(section)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("PCR key: no PEM block of a public key: %w", ErrFormat)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("PCR key: %w: %w", ErrFormat, err)
	}
	r, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("PCR key: not an RSA key: %w", ErrFormat)
	}
	return r, nil
}

// Fingerprint returns what member "pkfp" holds for a key. It hashes the PKCS#1
// form, not the usual SubjectPublicKeyInfo.
func Fingerprint(key *rsa.PublicKey) string {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(key))
	return hex.EncodeToString(sum[:])
}

// Verify checks that s is the key's signature over the policy of register
// Kernel alone having this policy digest.
func (s *Signature) Verify(key *rsa.PublicKey, policy Value) error {
	switch {
	case len(s.PCRs) != 1 || s.PCRs[0] != Kernel:
		return fmt.Errorf("PCR signature is for registers %v, want %d alone: %w", s.PCRs, Kernel, ErrFormat)
	case s.KeyFingerprint != Fingerprint(key):
		return fmt.Errorf("PCR signature is by the key %.64q: %w", s.KeyFingerprint, ErrFormat)
	case s.Policy != policy.String():
		return fmt.Errorf("PCR signature is over the policy %.64q, want %s: %w", s.Policy, policy, ErrFormat)
	}
	sig, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil {
		return fmt.Errorf("PCR signature is not base64 text: %w", ErrFormat)
	}
	digest := sha256.Sum256(policy[:])
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig); err != nil {
		return fmt.Errorf("PCR signature over policy %s: %w", policy, err)
	}
	return nil
}

// EncodeSignatures returns the text of a .pcrsig section that holds these
// signatures as its SHA-256 bank.
func EncodeSignatures(signatures []Signature) ([]byte, error) {
	text, err := json.Marshal(map[string][]Signature{"sha256": signatures})
	if err != nil {
		return nil, fmt.Errorf("encode PCR signatures: %w", err)
	}
	return text, nil
}
