// Package bundle reads and writes Sigstore bundles, version 0.3, of the one
// kind that evidence is kept in: a DSSE envelope with exactly one signature,
// by a key that the verifier knows. They are what cosign verify-blob-attestation
// reads and writes with a key and without a transparency log.
//
// The six fields are written by hand: the protobuf library's JSON is, by its
// own documentation, not stable from build to build.
package bundle

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/strictjson"
)

// MediaType of the bundles.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// MaxSize is the size in bytes of the largest bundle that is read.
const MaxSize = dsse.MaxEnvelope

// Suffix of a bundle's file name.
const Suffix = ".sigstore.json"

// ErrFormat: not a bundle of the kind described above.
var ErrFormat = errors.New("malformed bundle")

// wire is the JSON form.
type wire struct {
	MediaType            string `json:"mediaType"`
	VerificationMaterial struct {
		PublicKey *publicKey `json:"publicKey"`
	} `json:"verificationMaterial"`
	Envelope *dsse.Wire `json:"dsseEnvelope"`
}

type publicKey struct {
	Hint string `json:"hint"`
}

// Parse reads a bundle. The hint is not authenticated and not looked at.
func Parse(data []byte) (*dsse.Envelope, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("parse bundle: %w: more than %d bytes", ErrFormat, MaxSize)
	}
	var w wire
	if err := strictjson.UnmarshalKnown(data, &w); err != nil {
		return nil, fmt.Errorf("parse bundle: %w: %w", ErrFormat, err)
	}
	switch {
	case w.MediaType != MediaType:
		return nil, fmt.Errorf("parse bundle: %w: media type %.100q", ErrFormat, w.MediaType)
	case w.VerificationMaterial.PublicKey == nil:
		return nil, fmt.Errorf("parse bundle: %w: not verified by a public key", ErrFormat)
	case w.Envelope == nil:
		return nil, fmt.Errorf("parse bundle: %w: no DSSE envelope", ErrFormat)
	case len(w.Envelope.Signatures) != 1:
		return nil, fmt.Errorf("parse bundle: %w: %d signatures; exactly one signature is required", ErrFormat, len(w.Envelope.Signatures))
	}
	e, err := w.Envelope.Decode()
	if err != nil {
		return nil, fmt.Errorf("parse bundle: %w", err)
	}
	return e, nil
}

// Read reads the bundle in the file at path, of which it takes no more than
// [MaxSize] bytes into memory.
func Read(path string) (*dsse.Envelope, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > MaxSize {
		return nil, fmt.Errorf("read bundle %s: %w: more than %d bytes", path, ErrFormat, MaxSize)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read bundle %s: %w", path, err)
	}
	e, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

// Encode writes an envelope with one signature by key. The same envelope and
// key give the same bytes.
func Encode(e *dsse.Envelope, key crypto.PublicKey) ([]byte, error) {
	if len(e.Signatures) != 1 {
		return nil, fmt.Errorf("encode bundle: %d signatures; exactly one signature is required", len(e.Signatures))
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	sum := sha256.Sum256(spki)
	w := wire{MediaType: MediaType, Envelope: e.Wire()}
	w.VerificationMaterial.PublicKey = &publicKey{Hint: base64.StdEncoding.EncodeToString(sum[:])}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("encode bundle: %d bytes; at most %d are read again", b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}
