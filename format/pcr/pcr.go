// Package pcr computes what a unified kernel image leaves in PCR 11 of a TPM,
// the policy digests that stand for those values, and reads the signatures
// over them (section .pcrsig).
//
// Only the SHA-256 bank is handled.
//
// Specification: UAPI group, "Unified Kernel Image" and "Linux TPM PCR
// Registry"; systemd-stub(7), systemd-measure(1); TPM 2.0 Library, Part 3,
// TPM2_PolicyPCR.
package pcr

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// Kernel is the register that holds the kernel image and the boot phases.
const Kernel = 11

// ErrFormat is wrapped by errors about bytes that are not what they should be.
var ErrFormat = errors.New("not a usable PCR signature")

// Value is the content of a register.
type Value [sha256.Size]byte

// String returns the value as lower-case hexadecimal digits.
func (v Value) String() string { return hex.EncodeToString(v[:]) }

// Extend returns the register's content after data was measured into it.
func (v Value) Extend(data []byte) Value {
	d := sha256.Sum256(data)
	return sha256.Sum256(append(v[:], d[:]...))
}

// Measured lists the sections that systemd-stub measures, in the order in which
// it does. .pcrsig is not among them: it holds signatures over the result.
var Measured = []string{
	".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey",
	".profile", ".dtbauto", ".hwids",
}

// Phases are the words that systemd-pcrphase measures as the boot goes on, in
// their order.
var Phases = []string{"enter-initrd", "leave-initrd", "sysinit", "ready"}

// Phase is a point of the boot: the phases passed by then, joined by ":", and
// the register at that point.
type Phase struct {
	Path   string
	Value  Value
	Policy Value
}

// Predict returns the register after each phase, for an image with the given
// sections. section returns the content of a section, nil if the image has
// none of that name.
func Predict(section func(name string) []byte) ([]Phase, error) {
	var v Value
	for _, name := range Measured {
		if content := section(name); content != nil {
			v = v.Extend(append([]byte(name), 0)).Extend(content)
		}
	}
	var (
		out  []Phase
		path string
	)
	for _, word := range Phases {
		v = v.Extend([]byte(word))
		if path != "" {
			path += ":"
		}
		path += word
		policy, err := Policy(v)
		if err != nil {
			return nil, err
		}
		out = append(out, Phase{Path: path, Value: v, Policy: policy})
	}
	return out, nil
}

// Policy returns the policy digest of a TPM2_PolicyPCR that asks for this value
// in the register Kernel of the SHA-256 bank.
func Policy(v Value) (Value, error) {
	calculator, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return Value{}, fmt.Errorf("policy digest: %w", err)
	}
	digest := sha256.Sum256(v[:])
	command := tpm2.PolicyPCR{
		PcrDigest: tpm2.TPM2BDigest{Buffer: digest[:]},
		Pcrs: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
			{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(Kernel)},
		}},
	}
	if err := command.Update(calculator); err != nil {
		return Value{}, fmt.Errorf("policy digest: %w", err)
	}
	return Value(calculator.Hash().Digest), nil
}
