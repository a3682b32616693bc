package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/modules/image/tool"
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
	for _, phase := range phases {
		raw, err := tool.Command{
			Name:  "openssl",
			Args:  append([]string{"dgst", "-sha256", "-sign", key.name}, key.openssl()...),
			Stdin: bytes.NewReader(phase.Policy[:]),
		}.Run(ctx)
		if err != nil {
			return nil, fmt.Errorf("sign PCR policies: %w", err)
		}
		s := pcr.Signature{
			PCRs: []int{pcr.Kernel}, KeyFingerprint: pcr.Fingerprint(pub),
			Policy: phase.Policy.String(), Signature: base64.StdEncoding.EncodeToString(raw),
		}
		if err := s.Verify(pub, phase.Policy); err != nil {
			return nil, fmt.Errorf("sign PCR policies: private and public key do not belong together: %w", err)
		}
		out = append(out, s)
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
