package sign

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
)

// Release makes the detached OpenPGP signature of a release's SHA256SUMS,
// binary, as systemd-sysupdate hands it to gpgv. key is the path of an armored
// secret key, or a folder with signatures that a key elsewhere made; public is
// the path of its public half, with which the signature is checked. ask is asked
// for the passphrase of a key that has one. The time in the signature is at: the
// key then always gives the same bytes.
func Release(text []byte, key, public string, ask keys.Passphrase, at time.Time) ([]byte, error) {
	armored, err := readSmall(public)
	if err != nil {
		return nil, fmt.Errorf("sign release: %w", err)
	}
	if st, err := os.Stat(key); err == nil && st.IsDir() {
		s, err := offline.Open(key)
		if err != nil {
			return nil, fmt.Errorf("sign release: %w", err)
		}
		return ReleaseElsewhere(text, s, armored)
	}
	secret, err := keys.ReadPrivateFile(key, ask)
	if err != nil {
		return nil, fmt.Errorf("sign release: %w: %w", ErrKey, err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(secret), []byte(scheme)) {
		return nil, fmt.Errorf("sign release: %s: the release key is an OpenPGP key, which no PKCS#11 URI names: sign SHA256SUMS elsewhere (export-digests): %w", key, ErrKey)
	}
	signature, err := keys.SignSums(secret, bytes.NewReader(text), at)
	if err != nil {
		return nil, fmt.Errorf("sign release: %s: %w: %w", key, ErrKey, err)
	}
	if err := keys.VerifySums(armored, signature, bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("sign release: private and public key do not belong together: %w: %w", ErrKey, err)
	}
	return signature, nil
}

// ReleaseElsewhere is Release for a key that is not here. public is the content
// of its public half.
func ReleaseElsewhere(text []byte, s *offline.Signatures, public []byte) ([]byte, error) {
	r, err := offline.NewRelease(text, public)
	if err != nil {
		return nil, fmt.Errorf("sign release: %w: %w", ErrKey, err)
	}
	signature, err := s.Find(r)
	if err != nil {
		return nil, fmt.Errorf("sign release: %w", err)
	}
	return signature, nil
}
