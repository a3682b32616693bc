package sign

import (
	"bytes"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Release makes the detached OpenPGP signature of a release's SHA256SUMS,
// binary, as systemd-sysupdate hands it to gpgv. keyPath is an armored secret
// key. The time in the signature is at, or that of the key's creation where it
// is later: an older signature would not count. An ed25519 key then always
// gives the same bytes.
func Release(text []byte, keyPath string, at time.Time) ([]byte, error) {
	armored, err := readSmall(keyPath)
	if err != nil {
		return nil, fmt.Errorf("sign release: %w", err)
	}
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(armored))
	if err != nil {
		return nil, fmt.Errorf("sign release: %s: %w: %w", keyPath, ErrKey, err)
	}
	if len(ring) != 1 || ring[0].PrivateKey == nil || ring[0].PrivateKey.Encrypted {
		return nil, fmt.Errorf("sign release: %s holds no single unprotected secret key: %w", keyPath, ErrKey)
	}
	if created := ring[0].PrimaryKey.CreationTime; at.Before(created) {
		at = created
	}
	var sig bytes.Buffer
	config := &packet.Config{
		Time: func() time.Time { return at },
		// A salt would make each signature other bytes; the key and the text
		// are not of an adversary's choosing.
		NonDeterministicSignaturesViaNotation: packet.BoolPointer(false),
	}
	if err := openpgp.DetachSign(&sig, ring[0], bytes.NewReader(text), config); err != nil {
		return nil, fmt.Errorf("sign release: %s: %w: %w", keyPath, ErrKey, err)
	}
	return sig.Bytes(), nil
}
