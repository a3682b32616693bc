// Package tpm uses the machine's TPM 2.0: it reads PCRs of the SHA-256 bank and
// keeps a small block of data in an NV index.
package tpm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"

	"github.com/mastercard/mangos/runtime/watch"
)

var (
	// ErrMissing: the machine has no TPM 2.0 that Linux can use.
	ErrMissing = errors.New("no TPM 2.0")
	// ErrNoBank: the TPM keeps no PCRs with SHA-256.
	ErrNoBank = errors.New("the TPM's SHA-256 bank of PCRs is switched off")
)

// Device is the kernel's resource manager of the first TPM.
const Device = "dev/tpmrm0"

// A TPM is an open TPM. Close it after use.
type TPM struct {
	t transport.TPMCloser
}

// New wraps a transport, for emulators.
func New(t transport.TPMCloser) *TPM { return &TPM{t} }

// Close lets go of the device.
func (t *TPM) Close() error { return t.t.Close() }

// Open opens the TPM of the machine at root ("/" on a machine). Where the
// firmware's tables promise a TPM 2.0 and the device is not there yet, it waits
// for it until ctx ends. Errors wrap ErrMissing.
func Open(ctx context.Context, root string) (*TPM, error) {
	device := filepath.Join(root, Device)
	_, err := os.Stat(filepath.Join(root, "sys/firmware/acpi/tables/TPM2"))
	if err == nil {
		err = watch.File(ctx, device)
	} else {
		_, err = os.Stat(device)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("open TPM: %w", ErrMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("open TPM: %w: %w", ErrMissing, err)
	}
	t, err := linuxtpm.Open(device)
	if err != nil {
		return nil, fmt.Errorf("open TPM: %w: %w", ErrMissing, err)
	}
	return New(t), nil
}

// PCR returns the value of PCR n in the SHA-256 bank.
func (t *TPM) PCR(n uint) ([sha256.Size]byte, error) {
	var value [sha256.Size]byte
	rsp, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(n)}},
	}}.Execute(t.t)
	if err != nil {
		return value, fmt.Errorf("read PCR %d: %w", n, err)
	}
	// A bank that is switched off gives an empty list, not an error.
	if len(rsp.PCRValues.Digests) == 0 {
		return value, fmt.Errorf("read PCR %d: %w", n, ErrNoBank)
	}
	if d := rsp.PCRValues.Digests[0].Buffer; copy(value[:], d) != len(value) || len(d) != len(value) {
		return value, fmt.Errorf("read PCR %d: the TPM gave %d bytes", n, len(d))
	}
	return value, nil
}
