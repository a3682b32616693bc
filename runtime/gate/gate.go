// Package gate decides in the initrd whether this machine may start at all, and
// hands over to the rest of the boot what only the gate has looked at: the
// signature of the root hash, and the organisation's extensions.
//
// What it reads (firmware, command line, disks, the ESP) is under the control of
// whoever has the machine; it trusts the initrd it is part of, the kernel, and
// the TPM.
package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mastercard/mangos/runtime/firmware"
	"github.com/mastercard/mangos/runtime/tpm"
)

// A Refusal is a reason not to start. Word is short and stable, for programs;
// Sentence is for people, and says what to do.
type Refusal struct {
	Word     string
	Sentence string
}

// Error gives the form in which a refusal is shown.
func (r *Refusal) Error() string { return fmt.Sprintf("refused [%s]: %s", r.Word, r.Sentence) }

func refuse(word, format string, args ...any) *Refusal {
	return &Refusal{Word: word, Sentence: fmt.Sprintf(format, args...)}
}

// The words of Check's refusals.
const (
	NoSecureBoot  = "no-secure-boot"
	SecureBootOff = "secure-boot-off"
	SetupMode     = "setup-mode"
	CommandLine   = "command-line"
	NoTPM         = "no-tpm"
	NotMeasured   = "not-measured"
	PCR12         = "pcr-12"
	PCR13         = "pcr-13"
	MachineID     = "machine-id"
)

// tpmTime is how long a TPM that the firmware announces may take to show up.
const tpmTime = 30 * time.Second

// PCRs gives the values of PCRs of the SHA-256 bank.
type PCRs interface {
	PCR(n uint) ([sha256.Size]byte, error)
}

// Check looks at the machine whose file systems are at root ("/" on a machine)
// and returns every reason not to start; none if it may. What PCR 11 says is worth
// something as long as nothing in the initrd extended it.
func Check(ctx context.Context, root string) []*Refusal {
	var all []*Refusal
	add := func(r *Refusal) {
		if r != nil {
			all = append(all, r)
		}
	}
	add(checkSecureBoot(root))
	add(checkSetupMode(root))
	add(checkCommandLine(root))
	all = append(all, checkTPM(ctx, root)...)
	add(checkIdentity(root))
	return all
}

func checkSecureBoot(root string) *Refusal {
	on, err := firmware.Flag(root, "SecureBoot")
	switch {
	case errors.Is(err, firmware.ErrNoVariables):
		return refuse(NoSecureBoot, "this machine was not started by UEFI firmware, so there is no Secure Boot. Start it in UEFI mode, with Secure Boot on")
	case errors.Is(err, fs.ErrNotExist):
		return refuse(NoSecureBoot, "this firmware knows no Secure Boot (it has no variable SecureBoot)")
	case err != nil:
		return refuse(NoSecureBoot, "it cannot be told whether Secure Boot is on (%v)", err)
	case !on:
		return refuse(SecureBootOff, "Secure Boot is off. Turn it on in the firmware's settings")
	}
	return nil
}

// checkSetupMode accepts firmware without the variable: where Secure Boot is on
// there is a platform key, and SetupMode only says so once more.
func checkSetupMode(root string) *Refusal {
	on, err := firmware.Flag(root, "SetupMode")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, firmware.ErrNoVariables) {
		return nil
	}
	if err != nil {
		return refuse(SetupMode, "it cannot be told whether the firmware is in setup mode (%v)", err)
	}
	if on {
		return refuse(SetupMode, "the firmware is in setup mode, where anybody can change the Secure Boot keys. Enrol a platform key")
	}
	return nil
}

func checkTPM(ctx context.Context, root string) []*Refusal {
	ctx, cancel := context.WithTimeout(ctx, tpmTime)
	defer cancel()
	device, err := tpm.Open(ctx, root)
	if err != nil {
		return []*Refusal{refuse(NoTPM, "this machine needs a TPM 2.0 and has none that works (%v). Turn it on in the firmware's settings", err)}
	}
	defer device.Close()
	return checkPCRs(device)
}

// checkPCRs makes sure that nothing was added to the boot from outside.
// systemd-stub measures what it takes from the ESP, from SMBIOS or from the
// boot loader into PCR 12 (command line, credentials, configuration extensions,
// device trees, microcode) and PCR 13 (system extensions), and its own sections
// into PCR 11. A zero in PCR 11 means that nothing at all was measured, and
// then the other two prove nothing.
func checkPCRs(device PCRs) []*Refusal {
	var all []*Refusal
	for _, want := range []struct {
		pcr      uint
		zero     bool
		word     string
		sentence string
	}{
		{11, false, NotMeasured, "the firmware did not measure this boot into the TPM (PCR 11 is zero), so nothing tells whether something was added to it. Turn the TPM on in the firmware's settings, with its SHA-256 bank"},
		{12, true, PCR12, "something was added to this boot from outside: a command line, a credential or an extension (PCR 12 is not zero). Remove it from the EFI system partition, the boot menu or the virtual machine's settings"},
		{13, true, PCR13, "a system extension was added to this boot from outside (PCR 13 is not zero). Remove it from the EFI system partition"},
	} {
		value, err := device.PCR(want.pcr)
		if err != nil {
			all = append(all, refuse(NoTPM, "the TPM does not answer as it should (%v)", err))
			break
		}
		if (value == [sha256.Size]byte{}) != want.zero {
			all = append(all, refuse(want.word, "%s", want.sentence))
		}
	}
	return all
}

func checkIdentity(root string) *Refusal {
	if _, err := firmware.ProductUUID(root); err != nil {
		return refuse(MachineID, "the firmware gives this machine no identity of its own (%v). Set the system UUID with the vendor's tool", err)
	}
	return nil
}
