package verify

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/mastercard/mangos/attest/keys"
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

// checkSumsSignature verifies the signature by one of the keys, which all must be
// readable.
func checkSumsSignature(r *folder, public [][]byte) (string, error) {
	text, err := r.small(sumsName)
	if err != nil {
		return "", err
	}
	signature, err := r.small(signatureName)
	if err != nil {
		return "", err
	}
	signer, err := keys.VerifySumsByAny(public, signature, bytes.NewReader(text))
	if err != nil {
		return "", fmt.Errorf("%s: %w", signatureName, err)
	}
	return "signed by " + signer, nil
}
