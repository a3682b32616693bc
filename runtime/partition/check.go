package partition

import (
	"context"
	"errors"
	"fmt"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/luks"
	"github.com/mastercard/mangos/runtime/tpm"
)

// A State tells how a volume is opened.
type State struct {
	Label string
	// Volume is where it is.
	Volume luks.Volume
	// Locked is why the TPM does not open it, nil where it does: then the
	// recovery key is needed.
	Locked error
}

// Check looks at the volumes of a disk: whether they are this machine's, and
// whether its TPM opens them. node returns a partition's device file. A volume
// that is not encrypted, or of another machine, gives an error that wraps
// ErrForeign: it must not be used.
func (e *Enrolment) Check(ctx context.Context, table *gpt.Table, machine MachineID, node func(gpt.Partition) (string, error)) ([]State, error) {
	var all []State
	for _, p := range table.Partitions {
		if !isVolume(p.Type) {
			continue
		}
		state, err := e.checkVolume(ctx, p, machine, node)
		if err != nil {
			return nil, fmt.Errorf("volume %q: %w", p.Label, err)
		}
		all = append(all, state)
	}
	return all, nil
}

func (e *Enrolment) checkVolume(ctx context.Context, p gpt.Partition, machine MachineID, node func(gpt.Partition) (string, error)) (State, error) {
	if p.ID != machine.ID(p.Type) {
		return State{}, fmt.Errorf("%w: its identifier is not derived from this machine's id", ErrForeign)
	}
	path, err := node(p)
	if err != nil {
		return State{}, err
	}
	s := State{Label: p.Label, Volume: luks.Volume{Path: path}}
	metadata, err := s.Volume.Metadata(ctx)
	if errors.Is(err, luks.ErrNotLUKS) {
		return State{}, fmt.Errorf("%w: it is not encrypted", ErrForeign)
	}
	if err != nil {
		return State{}, err
	}
	if metadata.Find(luks.TPMToken) == nil && metadata.Find(luks.RecoveryToken) == nil {
		return State{}, fmt.Errorf("%w: neither a TPM nor a recovery key opens it", ErrForeign)
	}
	_, s.Locked = e.unlock(metadata)
	return s, nil
}

// Explain says in plain words why the TPM does not open a volume, and what to do.
func Explain(locked error) string {
	const key = "The recovery key seals the volumes anew (at the next question, or by: mangos-partition reseal)"
	switch {
	case errors.Is(locked, tpm.ErrPolicy):
		return "The state of Secure Boot, or its keys, changed since the volumes were sealed (PCR 7): keys were enrolled, the firmware was updated, or somebody else did something. If you know why, go on. " + key
	case errors.Is(locked, tpm.ErrNotSigned):
		return "The kernel image is not signed by the key that the volumes trust (PCR 11). If the organisation changed its keys, go on. " + key
	case errors.Is(locked, tpm.ErrOtherTPM):
		return "The TPM is not the one that the volumes were sealed by, or it was cleared. If you know why, go on. " + key
	case errors.Is(locked, ErrNoToken):
		return "The volumes are not sealed to a TPM. " + key
	}
	return fmt.Sprintf("The TPM does not open the volumes (%v). %s", locked, key)
}
