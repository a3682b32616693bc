package luks

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/runtime/tpm"
)

// Types of the tokens that systemd-cryptsetup and systemd-cryptenroll know.
const (
	TPMToken      = "systemd-tpm2" //nolint:gosec // a type, no secret
	RecoveryToken = "systemd-recovery"
)

// ErrToken: a token of type TPMToken is not of the kind that we make.
var ErrToken = errors.New("not a TPM token of the kind used here")

// tpmToken is the token of systemd 257, its members in its order. Hyphens and
// underscores are as they are there.
type tpmToken struct {
	Type       string   `json:"type"`
	Keyslots   []string `json:"keyslots"`
	Blob       string   `json:"tpm2-blob"`
	PCRs       []uint   `json:"tpm2-pcrs"`
	Bank       string   `json:"tpm2-pcr-bank"`
	Algorithm  string   `json:"tpm2-primary-alg"`
	PolicyHash string   `json:"tpm2-policy-hash"`
	PIN        bool     `json:"tpm2-pin,omitempty"`
	PCRLock    bool     `json:"tpm2_pcrlock,omitempty"`
	PubkeyPCRs []uint   `json:"tpm2_pubkey_pcrs"`
	Pubkey     string   `json:"tpm2_pubkey"`
	Salt       string   `json:"tpm2_salt,omitempty"`
	Parent     string   `json:"tpm2_srk"`
}

// Passphrase is what a key slot of a TPM token holds: the base64 text of the
// sealed secret.
func Passphrase(secret []byte) []byte {
	return []byte(base64.StdEncoding.EncodeToString(secret))
}

// EncodeTPM returns the token for a sealed secret whose Passphrase is in slot.
func EncodeTPM(slot int, s *tpm.Sealed, p tpm.Policy) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("encode TPM token: %w", err)
	}
	text, err := json.Marshal(tpmToken{
		Type: TPMToken, Keyslots: []string{strconv.Itoa(slot)},
		Blob: base64.StdEncoding.EncodeToString(s.Blob),
		PCRs: p.Literal, Bank: "sha256", Algorithm: s.Algorithm, PolicyHash: hex.EncodeToString(s.Digest[:]),
		PubkeyPCRs: []uint{pcr.Kernel},
		Pubkey:     base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		Parent:     base64.StdEncoding.EncodeToString(s.Parent),
	})
	if err != nil {
		return nil, fmt.Errorf("encode TPM token: %w", err)
	}
	return text, nil
}

// ParseTPM reads a token of type TPMToken that binds to literal registers and a
// signed policy for register pcr.Kernel, and to nothing else. Errors wrap
// ErrToken.
func ParseTPM(t Token) (*tpm.Sealed, *tpm.Policy, error) {
	var j tpmToken
	if err := strictjson.Unmarshal(t.JSON, &j); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	switch {
	case j.Type != TPMToken:
		return nil, nil, fmt.Errorf("%w: it has the type %q", ErrToken, j.Type)
	case j.PIN || j.PCRLock || j.Salt != "":
		return nil, nil, fmt.Errorf("%w: it asks for a PIN or for pcrlock", ErrToken)
	case j.Bank != "sha256" || !slices.Equal(j.PubkeyPCRs, []uint{pcr.Kernel}):
		return nil, nil, fmt.Errorf("%w: bank %q, signed registers %v", ErrToken, j.Bank, j.PubkeyPCRs)
	case len(j.PCRs) == 0 || !slices.IsSorted(j.PCRs) || j.PCRs[len(j.PCRs)-1] > 23:
		return nil, nil, fmt.Errorf("%w: registers %v", ErrToken, j.PCRs)
	}
	s := &tpm.Sealed{Algorithm: j.Algorithm}
	digest, err := hex.DecodeString(j.PolicyHash)
	if err != nil || len(digest) != sha256.Size {
		return nil, nil, fmt.Errorf("%w: its policy hash is no SHA-256", ErrToken)
	}
	s.Digest = [sha256.Size]byte(digest)
	key, err := parsePubkey(j.Pubkey)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	var errBlob, errParent error
	s.Blob, errBlob = base64.StdEncoding.DecodeString(j.Blob)
	s.Parent, errParent = base64.StdEncoding.DecodeString(j.Parent)
	if err := errors.Join(errBlob, errParent); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return s, &tpm.Policy{Literal: j.PCRs, Key: key}, nil
}

func parsePubkey(text string) (*rsa.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return pcr.ParsePublicKey(raw)
}

// EncodeRecovery returns the token that says that slot holds a recovery key.
func EncodeRecovery(slot int) []byte {
	return fmt.Appendf(nil, `{"type":%q,"keyslots":["%d"]}`, RecoveryToken, slot)
}
