package keys

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// generateOpenPGP makes the release pair: one OpenPGP version 4 primary key,
// EdDSA over Ed25519 in the form that GnuPG 2.2 and later read, which signs
// and certifies, without subkeys or expiry.
func generateOpenPGP(userID string) ([]file, error) {
	config := signConfig(notBefore)
	config.Algorithm = packet.PubKeyAlgoEdDSA
	e, err := openpgp.NewEntity(userID, "", "", config)
	if err != nil {
		return nil, err
	}
	e.Subkeys = nil // the library adds one for encryption, which nobody needs
	private, err := armored(openpgp.PrivateKeyType, func(w io.Writer) error {
		return e.SerializePrivateWithoutSigning(w, config)
	})
	if err != nil {
		return nil, err
	}
	public, err := armored(openpgp.PublicKeyType, e.Serialize)
	if err != nil {
		return nil, err
	}
	return []file{{PrivateName(Release), 0o600, private}, {PublicName(Release), 0o644, public}}, nil
}

// signConfig makes signatures deterministic: dated at, without random notation.
func signConfig(at time.Time) *packet.Config {
	random := false
	return &packet.Config{
		Time:                                  func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: &random,
	}
}

// armored returns what write writes in ASCII armour of the given type.
func armored(kind string, write func(io.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err != nil {
		return nil, err
	}
	if err := write(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// readOpenPGP reads exactly one armored key, public or private, of a role's
// algorithm.
func readOpenPGP(data []byte) (*openpgp.Entity, error) {
	list, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read OpenPGP key: %w", err)
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("read OpenPGP key: %d keys in one file; exactly one is wanted", len(list))
	}
	e := list[0]
	if a := e.PrimaryKey.PubKeyAlgo; a != packet.PubKeyAlgoEdDSA && a != packet.PubKeyAlgoEd25519 {
		return nil, fmt.Errorf("%w: %s must be Ed25519, not OpenPGP algorithm %d: %s", ErrAlgorithm, Release, a, limits[Release].Reason)
	}
	if e.PrimaryKey.Version != 4 {
		return nil, fmt.Errorf("%w: %s must be OpenPGP version 4, not %d: gpgv does not read it", ErrAlgorithm, Release, e.PrimaryKey.Version)
	}
	return e, nil
}

// ReleaseFingerprint is the OpenPGP fingerprint, in lower-case hexadecimal, of
// the key in release.pub or release.key, whose content is given.
func ReleaseFingerprint(data []byte) (string, error) {
	e, err := readOpenPGP(data)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(e.PrimaryKey.Fingerprint), nil
}

// SignSums returns the detached OpenPGP signature, in binary form, over data
// (the exact bytes of SHA256SUMS), dated at, or as the key where that is younger:
// an older signature would not count. The same key, bytes and date give the same
// signature. private is the content of release.key.
func SignSums(private []byte, data io.Reader, at time.Time) ([]byte, error) {
	e, err := readOpenPGP(private)
	if err != nil {
		return nil, fmt.Errorf("sign sums: %w", err)
	}
	if e.PrivateKey == nil {
		return nil, fmt.Errorf("sign sums: the file holds a public key only")
	}
	if e.PrivateKey.Encrypted {
		return nil, fmt.Errorf("sign sums: the OpenPGP key is protected by a passphrase: %w", ErrEncrypted)
	}
	if created := e.PrimaryKey.CreationTime; at.Before(created) {
		at = created
	}
	var b bytes.Buffer
	if err := openpgp.DetachSign(&b, e, data, signConfig(at)); err != nil {
		return nil, fmt.Errorf("sign sums: %w", err)
	}
	return b.Bytes(), nil
}
