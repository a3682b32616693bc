// Package dsse reads, signs and verifies Dead Simple Signing Envelopes
// (github.com/secure-systems-lab/dsse, version 1.0.2).
//
// Votes are counted by the keys' bytes. The keyid of a signature is not
// authenticated: it is neither looked at nor written.
package dsse

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/strictjson"
)

// Limits of what is read.
const (
	// MaxEnvelope is the size in bytes of the largest envelope.
	MaxEnvelope = 64 << 20
	// MaxSignatures is the most signatures of one envelope.
	MaxSignatures = 64
)

// Sentinels.
var (
	// ErrFormat: not an envelope.
	ErrFormat = errors.New("malformed envelope")
	// ErrSignature: too few of the given keys signed.
	ErrSignature = errors.New("not signed by the wanted keys")
	// ErrKey: a key of a kind that does not sign envelopes.
	ErrKey = errors.New("unsuitable key")
)

// Envelope is a payload with signatures over it, decoded.
type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  [][]byte
}

// Wire is the envelope's JSON form.
type Wire struct {
	Payload     string          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []WireSignature `json:"signatures"`
}

// WireSignature is one signature of the JSON form.
type WireSignature struct {
	KeyID string `json:"keyid,omitempty"`
	Sig   string `json:"sig"`
}

// PAE is the pre-authentication encoding: the bytes that are signed.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payload)+len(payloadType)+48)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// Parse reads an envelope's JSON. It refuses, with errors wrapping
// [ErrFormat], what [strictjson.UnmarshalKnown] refuses, an envelope without
// payload type or signature, and base64 that is neither of the standard nor of
// the URL-safe alphabet.
func Parse(data []byte) (*Envelope, error) {
	if len(data) > MaxEnvelope {
		return nil, fmt.Errorf("parse envelope: %w: %d bytes, at most %d are read", ErrFormat, len(data), MaxEnvelope)
	}
	var w Wire
	if err := strictjson.UnmarshalKnown(data, &w); err != nil {
		return nil, fmt.Errorf("parse envelope: %w: %w", ErrFormat, err)
	}
	return w.Decode()
}

// Decode checks the JSON form and decodes it.
func (w *Wire) Decode() (*Envelope, error) {
	if w.PayloadType == "" {
		return nil, fmt.Errorf("parse envelope: %w: no payload type", ErrFormat)
	}
	if n := len(w.Signatures); n == 0 || n > MaxSignatures {
		return nil, fmt.Errorf("parse envelope: %w: %d signatures", ErrFormat, n)
	}
	e := &Envelope{PayloadType: w.PayloadType}
	var err error
	if e.Payload, err = decode(w.Payload); err != nil {
		return nil, fmt.Errorf("parse envelope: payload: %w", err)
	}
	for i, s := range w.Signatures {
		sig, err := decode(s.Sig)
		if err != nil {
			return nil, fmt.Errorf("parse envelope: signature %d: %w", i+1, err)
		}
		if len(sig) == 0 {
			return nil, fmt.Errorf("parse envelope: %w: signature %d is empty", ErrFormat, i+1)
		}
		e.Signatures = append(e.Signatures, sig)
	}
	return e, nil
}

// decode reads base64 of either alphabet, padded, without line breaks (which
// encoding/base64 would skip).
func decode(s string) ([]byte, error) {
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\r' {
			return nil, fmt.Errorf("%w: line break in base64", ErrFormat)
		}
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		if b, err = base64.URLEncoding.Strict().DecodeString(s); err != nil {
			return nil, fmt.Errorf("%w: base64: %w", ErrFormat, err)
		}
	}
	return b, nil
}

// Wire is the JSON form, in the standard alphabet.
func (e *Envelope) Wire() *Wire {
	w := &Wire{Payload: base64.StdEncoding.EncodeToString(e.Payload), PayloadType: e.PayloadType}
	for _, s := range e.Signatures {
		w.Signatures = append(w.Signatures, WireSignature{Sig: base64.StdEncoding.EncodeToString(s)})
	}
	return w
}

// Sign makes an envelope with one signature by key: Ed25519, or ECDSA P-256
// for keys that live in hardware without Ed25519.
func Sign(payloadType string, payload []byte, key crypto.Signer) (*Envelope, error) {
	message := PAE(payloadType, payload)
	var sig []byte
	var err error
	switch k := key.Public().(type) {
	case ed25519.PublicKey:
		sig, err = key.Sign(rand.Reader, message, crypto.Hash(0))
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("sign envelope: %w: ECDSA on %s", ErrKey, k.Curve.Params().Name)
		}
		sum := sha256.Sum256(message)
		sig, err = key.Sign(rand.Reader, sum[:], crypto.SHA256)
	default:
		return nil, fmt.Errorf("sign envelope: %w: %T", ErrKey, k)
	}
	if err != nil {
		return nil, fmt.Errorf("sign envelope: %w", err)
	}
	e := &Envelope{PayloadType: payloadType, Payload: bytes.Clone(payload), Signatures: [][]byte{sig}}
	if err := VerifyKey(key.Public(), payloadType, payload, sig); err != nil {
		return nil, fmt.Errorf("sign envelope: the key gave a signature that does not verify: %w", err)
	}
	return e, nil
}

// VerifyKey checks one signature by one key: Ed25519, ECDSA P-256 (ASN.1) or,
// as others make them, RSA PKCS#1 v1.5 of at least 2048 bits; over SHA-256.
func VerifyKey(pub crypto.PublicKey, payloadType string, payload, sig []byte) error {
	message := PAE(payloadType, payload)
	sum := sha256.Sum256(message)
	ok := false
	switch k := pub.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, message, sig)
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("%w: ECDSA on %s", ErrKey, k.Curve.Params().Name)
		}
		ok = ecdsa.VerifyASN1(k, sum[:], sig)
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Errorf("%w: RSA-%d", ErrKey, k.N.BitLen())
		}
		ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	default:
		return fmt.Errorf("%w: %T", ErrKey, pub)
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// Verify returns the ids ([keys.KeyID], of the keys' bytes) of those of pubs
// that signed the envelope, each once, in the order of pubs. Fewer than
// threshold, which must be at least 1, is [ErrSignature].
func (e *Envelope) Verify(pubs []crypto.PublicKey, threshold int) ([]string, error) {
	if threshold < 1 {
		return nil, fmt.Errorf("verify envelope: threshold %d: at least 1 is needed", threshold)
	}
	var signed []string
	seen := map[string]bool{}
	for _, pub := range pubs {
		id, err := keys.KeyID(pub)
		if err != nil {
			return nil, fmt.Errorf("verify envelope: %w", err)
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		for _, sig := range e.Signatures {
			err := VerifyKey(pub, e.PayloadType, e.Payload, sig)
			if errors.Is(err, ErrKey) {
				return nil, fmt.Errorf("verify envelope: key %s: %w", id, err)
			}
			if err == nil {
				signed = append(signed, id)
				break
			}
		}
	}
	if len(signed) < threshold {
		return nil, fmt.Errorf("verify envelope: %w: %d of the %d given keys signed, %d are needed", ErrSignature, len(signed), len(seen), threshold)
	}
	return signed, nil
}
