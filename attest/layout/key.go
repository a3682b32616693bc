package layout

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/in-toto/in-toto-golang/in_toto"
	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// ErrKey: a key that does not sign layouts and links.
var ErrKey = errors.New("unsuitable key")

// Key is a public key as layouts hold it.
func Key(pub crypto.PublicKey) (in_toto.Key, error) {
	k, ok := pub.(ed25519.PublicKey)
	if !ok {
		return in_toto.Key{}, fmt.Errorf("layout key: %w: %T is not Ed25519", ErrKey, pub)
	}
	key := in_toto.Key{
		KeyIDHashAlgorithms: []string{"sha256", "sha512"},
		KeyType:             "ed25519",
		KeyVal:              in_toto.KeyVal{Public: hex.EncodeToString(k)},
		Scheme:              "ed25519",
	}
	var err error
	key.KeyID, err = keyID(key)
	return key, err
}

// keyID computes a key's id as the specification says: the SHA-256 of its
// canonical JSON without the id.
func keyID(k in_toto.Key) (string, error) {
	text, err := cjson.EncodeCanonical(map[string]any{
		"keytype":               k.KeyType,
		"scheme":                k.Scheme,
		"keyid_hash_algorithms": k.KeyIDHashAlgorithms,
		"keyval":                map[string]string{"public": k.KeyVal.Public},
	})
	if err != nil {
		return "", fmt.Errorf("key id: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// public returns the bytes of a key of a layout, after it has made sure that
// the key is Ed25519 and bears the id that follows from it.
func public(k in_toto.Key) (ed25519.PublicKey, error) {
	if k.KeyType != "ed25519" || k.Scheme != "ed25519" || k.KeyVal.Certificate != "" || k.KeyVal.Private != "" {
		return nil, fmt.Errorf("%w: key %.20s is %q, not bare Ed25519", ErrKey, k.KeyID, k.KeyType)
	}
	b, err := hex.DecodeString(k.KeyVal.Public)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: key %.20s is not %d bytes in hexadecimal", ErrKey, k.KeyID, ed25519.PublicKeySize)
	}
	id, err := keyID(k)
	if err != nil {
		return nil, err
	}
	if id != k.KeyID {
		return nil, fmt.Errorf("%w: a key bears the id %.20s, but its content has the id %.20s", ErrKey, k.KeyID, id)
	}
	return ed25519.PublicKey(b), nil
}

// sign makes the signature of signed, a layout or link, by key.
func sign(signed any, key crypto.Signer) (in_toto.Signature, error) {
	k, err := Key(key.Public())
	if err != nil {
		return in_toto.Signature{}, err
	}
	text, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return in_toto.Signature{}, fmt.Errorf("sign: %w", err)
	}
	sig, err := key.Sign(rand.Reader, text, crypto.Hash(0))
	if err != nil {
		return in_toto.Signature{}, fmt.Errorf("sign: %w", err)
	}
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), text, sig) {
		return in_toto.Signature{}, errors.New("sign: the key gave a signature that does not verify")
	}
	return in_toto.Signature{KeyID: k.KeyID, Sig: hex.EncodeToString(sig)}, nil
}

// signedBy reports whether one of sigs over text is by pub. The ids that the
// signatures bear are not looked at.
func signedBy(text []byte, sigs []in_toto.Signature, pub ed25519.PublicKey) bool {
	for _, s := range sigs {
		b, err := hex.DecodeString(s.Sig)
		if err == nil && ed25519.Verify(pub, text, b) {
			return true
		}
	}
	return false
}
