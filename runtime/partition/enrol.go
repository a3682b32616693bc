package partition

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/runtime/luks"
	"github.com/mastercard/mangos/runtime/recovery"
	"github.com/mastercard/mangos/runtime/tpm"
)

// Registers that a volume is bound to by their values: 7, Secure Boot's state and
// keys; 12, what was added to the boot from outside, which is nothing (zero).
var literal = []uint{7, 12}

// Files that systemd-stub brings from the kernel image: the key of the PCR
// signatures, and these.
const (
	KeyFile       = "run/systemd/tpm2-pcr-public-key.pem"
	SignatureFile = "run/systemd/tpm2-pcr-signature.json"
)

var (
	// ErrState: the machine is not in a state that anything is sealed to.
	ErrState = errors.New("this boot is not one to seal volumes to")
	// ErrNoToken: a volume is not sealed to a TPM.
	ErrNoToken = errors.New("not sealed to a TPM")
)

// secretSize is the size in bytes of what the TPM keeps.
const secretSize = 32

// Enrolment seals volumes to this machine and its kernel image.
type Enrolment struct {
	TPM        *tpm.TPM
	Policy     tpm.Policy
	Signatures []pcr.Signature
	// Scratch is a folder in memory, for headers that are being made.
	Scratch string
}

// NewEnrolment reads the key and the signatures of the tree at root ("/" on a
// machine).
func NewEnrolment(root string, device *tpm.TPM, scratch string) (*Enrolment, error) {
	raw, err := readAtMost(filepath.Join(root, KeyFile))
	if err != nil {
		return nil, fmt.Errorf("the kernel image brought no key of PCR signatures: %w", err)
	}
	e := &Enrolment{TPM: device, Policy: tpm.Policy{Literal: literal}, Scratch: scratch}
	if e.Policy.Key, err = pcr.ParsePublicKey(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", KeyFile, err)
	}
	if raw, err = readAtMost(filepath.Join(root, SignatureFile)); err != nil {
		return nil, fmt.Errorf("the kernel image brought no PCR signatures: %w", err)
	}
	if e.Signatures, err = pcr.ParseSignatures(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", SignatureFile, err)
	}
	return e, nil
}

func readAtMost(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// checkState refuses to seal to registers that say nothing.
func (e *Enrolment) checkState() error {
	for _, n := range literal {
		value, err := e.TPM.PCR(n)
		if err != nil {
			return err
		}
		zero := value == [len(value)]byte{}
		switch {
		case n == 7 && zero:
			return fmt.Errorf("%w: the firmware measured no Secure Boot state (PCR 7 is zero)", ErrState)
		case n == 12 && !zero:
			return fmt.Errorf("%w: something was added to it from outside (PCR 12 is not zero)", ErrState)
		}
	}
	return nil
}

// seal makes a secret and seals it, and makes sure that the TPM gives it back.
func (e *Enrolment) seal() (passphrase []byte, sealed *tpm.Sealed, err error) {
	if err := e.checkState(); err != nil {
		return nil, nil, err
	}
	secret := make([]byte, secretSize)
	rand.Read(secret) // never fails, crypto/rand says
	if sealed, err = e.TPM.Seal(secret, e.Policy); err != nil {
		return nil, nil, err
	}
	back, err := e.TPM.Unseal(sealed, e.Policy, e.Signatures)
	if err != nil {
		return nil, nil, fmt.Errorf("try what was sealed: %w", err)
	}
	if string(back) != string(secret) {
		return nil, nil, errors.New("try what was sealed: the TPM gave something else back")
	}
	return luks.Passphrase(secret), sealed, nil
}

// Make makes a volume's header in a file in memory.
func (e *Enrolment) Make(ctx context.Context, id gpt.GUID, label string, key recovery.Key) (header, passphrase []byte, err error) {
	passphrase, sealed, err := e.seal()
	if err != nil {
		return nil, nil, err
	}
	f, err := os.CreateTemp(e.Scratch, "header")
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}()
	if err := f.Truncate(minVolume); err != nil {
		return nil, nil, err
	}
	v := luks.Volume{Path: f.Name()}
	if err := v.Format(ctx, id, label, passphrase); err != nil {
		return nil, nil, err
	}
	if err := e.addToken(ctx, v, luks.TPMSlot, sealed); err != nil {
		return nil, nil, err
	}
	if err := v.AddKey(ctx, passphrase, []byte(key), luks.RecoverySlot); err != nil {
		return nil, nil, err
	}
	if err := v.ImportToken(ctx, luks.EncodeRecovery(luks.RecoverySlot)); err != nil {
		return nil, nil, err
	}
	if err := v.Test(ctx, []byte(key)); err != nil {
		return nil, nil, fmt.Errorf("try the recovery key: %w", err)
	}
	header = make([]byte, luks.HeaderSize)
	if _, err := f.ReadAt(header, 0); err != nil {
		return nil, nil, err
	}
	return header, passphrase, nil
}

func (e *Enrolment) addToken(ctx context.Context, v luks.Volume, slot int, sealed *tpm.Sealed) error {
	token, err := luks.EncodeTPM(slot, sealed, e.Policy)
	if err != nil {
		return err
	}
	return v.ImportToken(ctx, token)
}

// unlock returns the passphrase that the TPM gives for one of the volume's
// tokens. Without any the error is ErrNoToken, and otherwise the last token's.
func (e *Enrolment) unlock(metadata *luks.Metadata) ([]byte, error) {
	err := ErrNoToken
	for _, place := range metadata.Find(luks.TPMToken) {
		var sealed *tpm.Sealed
		var policy *tpm.Policy
		if sealed, policy, err = luks.ParseTPM(metadata.Tokens[place]); err != nil {
			continue
		}
		var secret []byte
		if secret, err = e.TPM.Unseal(sealed, *policy, e.Signatures); err == nil {
			return luks.Passphrase(secret), nil
		}
	}
	return nil, err
}

// Reseal seals a volume to the machine's present state; key opens it. What it was
// sealed to before is removed, when the new works. After a power cut the volume
// is sealed to the old state, the new, or both; then it can be done again.
func (e *Enrolment) Reseal(ctx context.Context, v luks.Volume, key []byte) error {
	before, err := v.Metadata(ctx)
	if err != nil {
		return fmt.Errorf("reseal: %w", err)
	}
	passphrase, sealed, err := e.seal()
	if err != nil {
		return fmt.Errorf("reseal: %w", err)
	}
	slot := before.FreeSlot()
	if slot < 0 {
		return fmt.Errorf("reseal: %s has no free key slot", v.Path)
	}
	if err := v.AddKey(ctx, key, passphrase, slot); err != nil {
		return fmt.Errorf("reseal: %w", err)
	}
	if err := v.Test(ctx, passphrase); err != nil {
		return fmt.Errorf("reseal: %w", err)
	}
	if err := e.addToken(ctx, v, slot, sealed); err != nil {
		return fmt.Errorf("reseal: %w", err)
	}
	return removeTokens(ctx, v, before)
}

// removeTokens removes the TPM tokens with their key slots. A slot that a
// recovery key is in stays, whatever a token says.
func removeTokens(ctx context.Context, v luks.Volume, before *luks.Metadata) error {
	var kept []int
	for _, place := range before.Find(luks.RecoveryToken) {
		kept = append(kept, before.Tokens[place].Slots...)
	}
	for _, place := range before.Find(luks.TPMToken) {
		for _, slot := range before.Tokens[place].Slots {
			if slices.Contains(kept, slot) {
				continue
			}
			kept = append(kept, slot) // two tokens may share it
			if err := v.KillSlot(ctx, slot); err != nil {
				return fmt.Errorf("reseal: remove what was: %w", err)
			}
		}
		if err := v.RemoveToken(ctx, place); err != nil {
			return fmt.Errorf("reseal: remove what was: %w", err)
		}
	}
	return nil
}
