package sign

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/format/pcr"
)

// Policies signs the policy digest of each phase, as systemd-measure does:
// RSASSA-PKCS1-v1_5 with SHA-256 over the digest's bytes. public is the text of
// the key's public half, PEM; each signature is checked against it.
func Policies(ctx context.Context, phases []pcr.Phase, key Key, public []byte) ([]pcr.Signature, error) {
	pub, err := pcr.ParsePublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("sign PCR policies: %w: %w", ErrKey, err)
	}
	if pub.Size() != 256 {
		return nil, fmt.Errorf("sign PCR policies: the key has %d bits, TPMs want 2048: %w", 8*pub.Size(), ErrKey)
	}
	var out []pcr.Signature
	var missing error
	for _, phase := range phases {
		what := fmt.Sprintf("policy of PCR %d in phase %s: %s", pcr.Kernel, phase.Path, phase.Policy)
		r, err := offline.New(keys.PCR, what, phase.Policy[:], pub)
		if err != nil {
			return nil, fmt.Errorf("sign PCR policies: %w", err)
		}
		raw, err := key.sign(ctx, r)
		if err := offline.Collect(&missing, err); err != nil {
			return nil, fmt.Errorf("sign PCR policies: %w", err)
		}
		out = append(out, pcr.Signature{
			PCRs: []int{pcr.Kernel}, KeyFingerprint: pcr.Fingerprint(pub),
			Policy: phase.Policy.String(), Signature: base64.StdEncoding.EncodeToString(raw),
		})
	}
	if missing != nil {
		return nil, fmt.Errorf("sign PCR policies: %w", missing)
	}
	return out, nil
}

// ReadPublic reads a public key's file.
func ReadPublic(path string) ([]byte, error) {
	text, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	if _, err := pcr.ParsePublicKey(text); err != nil {
		return nil, fmt.Errorf("read public key %s: %w: %w", path, ErrKey, err)
	}
	return text, nil
}
