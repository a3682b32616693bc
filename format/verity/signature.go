package verity

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// SignatureSize is the size in bytes of a root-verity-sig partition as mangos
// writes it: JSON padded with NUL bytes.
const SignatureSize = 16 << 10

// MaxSignature is the size in bytes of the largest such partition that is read.
const MaxSignature = 16 * SignatureSize

// Signature is the content of a root-verity-sig partition, Discoverable
// Partitions Specification, "Verity".
type Signature struct {
	// Root is the signed root hash. What is signed is its text form.
	Root RootHash
	// PKCS7 is the detached signature, DER.
	PKCS7 []byte
	// Fingerprint is the SHA-256 of the signer's certificate, DER; zero if
	// it is not given.
	Fingerprint [sha256.Size]byte
}

type signatureJSON struct {
	RootHash               string `json:"rootHash"`
	CertificateFingerprint string `json:"certificateFingerprint,omitempty"`
	Signature              string `json:"signature"`
}

// Encode returns the partition's SignatureSize bytes.
func (s *Signature) Encode() ([]byte, error) {
	j := signatureJSON{RootHash: s.Root.String(), Signature: base64.StdEncoding.EncodeToString(s.PKCS7)}
	if s.Fingerprint != [sha256.Size]byte{} {
		j.CertificateFingerprint = hex.EncodeToString(s.Fingerprint[:])
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode verity signature: %w", err)
	}
	if len(text) >= SignatureSize {
		return nil, fmt.Errorf("encode verity signature: %d bytes do not fit into %d: %w", len(text), SignatureSize, ErrFormat)
	}
	return append(text, make([]byte, SignatureSize-len(text))...), nil
}

// ParseSignature reads a root-verity-sig partition. It checks the form, not
// the signature. Unknown members are ignored, as the specification asks;
// errors wrap ErrFormat.
func ParseSignature(b []byte) (*Signature, error) {
	if len(b) == 0 || len(b)%BlockSize != 0 || len(b) > MaxSignature {
		return nil, fmt.Errorf("verity signature has %d bytes, want a multiple of %d, at most %d: %w", len(b), BlockSize, MaxSignature, ErrFormat)
	}
	text := bytes.TrimRight(b, "\x00")
	var j signatureJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("verity signature: %w: %w", ErrFormat, err)
	}
	s := &Signature{}
	var err error
	if s.Root, err = ParseRootHash(j.RootHash); err != nil {
		return nil, fmt.Errorf("verity signature: %w", err)
	}
	if s.PKCS7, err = base64.StdEncoding.DecodeString(j.Signature); err != nil || len(s.PKCS7) == 0 {
		return nil, fmt.Errorf("verity signature: member \"signature\" is not base64 text: %w", ErrFormat)
	}
	if j.CertificateFingerprint == "" {
		return s, nil
	}
	fp, err := hex.DecodeString(j.CertificateFingerprint)
	if err != nil || len(fp) != len(s.Fingerprint) {
		return nil, fmt.Errorf("verity signature: certificateFingerprint is not a SHA-256: %w", ErrFormat)
	}
	copy(s.Fingerprint[:], fp)
	return s, nil
}
