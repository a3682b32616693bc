package verify

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/mastercard/mangos/runtime/release"
)

// checkSums holds SHA256SUMS, read as a device reads it, against the files: it
// lists each, but itself and its signature.
func checkSums(r *folder) (string, error) {
	text, err := r.small(sumsName)
	if err != nil {
		return "", err
	}
	listed, err := release.ParseSums(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", sumsName, err)
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		switch f, sum := r.files[name], listed[name]; {
		case f == nil:
			return "", fmt.Errorf("%s lists %s, which is not there", sumsName, name)
		case f.sum != hex.EncodeToString(sum[:]):
			return "", fmt.Errorf("%s has SHA-256 %s, and %x in %s", name, f.sum, sum, sumsName)
		}
	}
	for _, name := range r.names {
		if _, ok := listed[name]; !ok && name != sumsName && name != signatureName {
			return "", fmt.Errorf("%s is not in %s", name, sumsName)
		}
	}
	return fmt.Sprintf("%d files as %s lists them", len(listed), sumsName), nil
}

// checkSumsSignature verifies the signature as gpgv would: by one of the keys,
// which all must be readable.
func checkSumsSignature(r *folder, armored [][]byte) (string, error) {
	text, err := r.small(sumsName)
	if err != nil {
		return "", err
	}
	signature, err := r.small(signatureName)
	if err != nil {
		return "", err
	}
	var keys openpgp.EntityList
	for _, a := range armored {
		list, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(a))
		if err != nil {
			return "", fmt.Errorf("key of the policy: %w", err)
		}
		keys = append(keys, list...)
	}
	if len(signature) > 64<<10 {
		return "", fmt.Errorf("%s has %d bytes", signatureName, len(signature))
	}
	p, err := packet.NewReader(bytes.NewReader(signature)).Next()
	if err != nil {
		return "", fmt.Errorf("%s: %w", signatureName, err)
	}
	sig, ok := p.(*packet.Signature)
	if !ok {
		return "", fmt.Errorf("%s is no signature", signatureName)
	}
	// Devices have no trusted clock, and check none.
	config := &packet.Config{Time: func() time.Time { return sig.CreationTime }}
	signer, err := openpgp.CheckDetachedSignature(keys, bytes.NewReader(text), bytes.NewReader(signature), config)
	if err != nil {
		return "", fmt.Errorf("%s: %w", signatureName, err)
	}
	if signer == nil {
		return "", errors.New("no key made the signature")
	}
	return fmt.Sprintf("signed by %X", signer.PrimaryKey.Fingerprint), nil
}
