package tpm

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/mastercard/mangos/format/pcr"
)

// maxSignatures bounds how many signatures are looked through.
const maxSignatures = 64

// Policy says when the TPM gives a secret back: while the registers Literal of
// the SHA-256 bank hold what they held when it was sealed, and register
// pcr.Kernel holds something that Key signed a policy for. The order of the two
// is systemd's.
type Policy struct {
	Literal []uint
	Key     *rsa.PublicKey
}

// selection is the registers of the SHA-256 bank.
func selection(registers ...uint) tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(registers...)},
	}}
}

// keyTemplate is the key as an object of the TPM. Its name, which a policy
// holds, depends on each field: these are systemd's.
func keyTemplate(key *rsa.PublicKey) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:             tpm2.TPMAlgRSA,
		NameAlg:          tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{Decrypt: true, SignEncrypt: true, UserWithAuth: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			KeyBits: tpm2.TPMKeyBits(key.N.BitLen()), Exponent: uint32(key.E),
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: key.N.Bytes()}),
	}
}

// digest computes the policy's digest from the registers' present values.
func (t *TPM) digest(p Policy) ([sha256.Size]byte, error) {
	var none [sha256.Size]byte
	template := keyTemplate(p.Key)
	name, err := tpm2.ObjectName(&template)
	if err != nil {
		return none, fmt.Errorf("policy digest: %w", err)
	}
	calculator, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return none, fmt.Errorf("policy digest: %w", err)
	}
	if err := (tpm2.PolicyAuthorize{KeySign: *name}).Update(calculator); err != nil {
		return none, fmt.Errorf("policy digest: %w", err)
	}
	values := sha256.New()
	for _, n := range p.Literal {
		value, err := t.PCR(n)
		if err != nil {
			return none, fmt.Errorf("policy digest: %w", err)
		}
		values.Write(value[:])
	}
	literal := tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: values.Sum(nil)}, Pcrs: selection(p.Literal...)}
	if err := literal.Update(calculator); err != nil {
		return none, fmt.Errorf("policy digest: %w", err)
	}
	return [sha256.Size]byte(calculator.Hash().Digest), nil
}

// satisfy brings a policy session to the policy's digest, or says what is not
// as it should be.
func (t *TPM) satisfy(session tpm2.TPMHandle, p Policy, want [sha256.Size]byte, signatures []pcr.Signature) error {
	if err := t.authorize(session, p.Key, signatures); err != nil {
		return err
	}
	if _, err := (tpm2.PolicyPCR{PolicySession: session, Pcrs: selection(p.Literal...)}).Execute(t.t); err != nil {
		return fmt.Errorf("policy of registers %v: %w", p.Literal, err)
	}
	got, err := tpm2.PolicyGetDigest{PolicySession: session}.Execute(t.t)
	if err != nil {
		return fmt.Errorf("policy digest: %w", err)
	}
	if string(got.PolicyDigest.Buffer) != string(want[:]) {
		return ErrPolicy
	}
	return nil
}

// authorize lets the session pass over what PCR 11 holds, with the key's
// signature over it.
func (t *TPM) authorize(session tpm2.TPMHandle, key *rsa.PublicKey, signatures []pcr.Signature) error {
	if _, err := (tpm2.PolicyPCR{PolicySession: session, Pcrs: selection(pcr.Kernel)}).Execute(t.t); err != nil {
		return fmt.Errorf("policy of register %d: %w", pcr.Kernel, err)
	}
	got, err := tpm2.PolicyGetDigest{PolicySession: session}.Execute(t.t)
	if err != nil {
		return fmt.Errorf("policy digest: %w", err)
	}
	signature, err := findSignature(key, got.PolicyDigest.Buffer, signatures)
	if err != nil {
		return err
	}
	loaded, err := tpm2.LoadExternal{InPublic: tpm2.New2B(keyTemplate(key)), Hierarchy: tpm2.TPMRHOwner}.Execute(t.t)
	if err != nil {
		return fmt.Errorf("load the key of PCR signatures: %w", err)
	}
	defer t.flush(loaded.ObjectHandle)
	signed := sha256.Sum256(got.PolicyDigest.Buffer)
	verified, err := tpm2.VerifySignature{
		KeyHandle: tpm2.NamedHandle{Handle: loaded.ObjectHandle, Name: loaded.Name},
		Digest:    tpm2.TPM2BDigest{Buffer: signed[:]},
		Signature: tpm2.TPMTSignature{
			SigAlg: tpm2.TPMAlgRSASSA,
			Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgRSASSA, &tpm2.TPMSSignatureRSA{
				Hash: tpm2.TPMAlgSHA256, Sig: tpm2.TPM2BPublicKeyRSA{Buffer: signature},
			}),
		},
	}.Execute(t.t)
	if err != nil {
		return fmt.Errorf("verify PCR signature: %w", err)
	}
	_, err = tpm2.PolicyAuthorize{
		PolicySession:  session,
		ApprovedPolicy: got.PolicyDigest,
		KeySign:        loaded.Name,
		CheckTicket:    verified.Validation,
	}.Execute(t.t)
	if err != nil {
		return fmt.Errorf("authorize PCR policy: %w", err)
	}
	return nil
}

// findSignature returns the key's signature over the policy digest.
func findSignature(key *rsa.PublicKey, policy []byte, signatures []pcr.Signature) ([]byte, error) {
	if len(policy) != sha256.Size {
		return nil, fmt.Errorf("policy digest of %d bytes", len(policy))
	}
	for _, s := range signatures[:min(len(signatures), maxSignatures)] {
		if s.Verify(key, pcr.Value(policy)) != nil {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(s.Signature)
		if err != nil {
			return nil, fmt.Errorf("PCR signature: %w", err)
		}
		return raw, nil
	}
	return nil, ErrNotSigned
}
