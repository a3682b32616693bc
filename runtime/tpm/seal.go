package tpm

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/mastercard/mangos/format/pcr"
)

var (
	// ErrPolicy: the registers do not hold what the secret was sealed for.
	ErrPolicy = errors.New("the machine's state is not the one it was sealed for")
	// ErrNotSigned: the policy's key did not sign what PCR 11 holds.
	ErrNotSigned = errors.New("PCR 11 holds what the key did not sign")
	// ErrBlob: bytes are no sealed secret of this form.
	ErrBlob = errors.New("not a sealed secret")
)

// maxBlob bounds the sealed form of a secret; ours takes about 240 bytes.
const maxBlob = 4096

// Sealed is a secret in the form that only the TPM can open.
type Sealed struct {
	// Blob is a TPM2B_PRIVATE followed by a TPM2B_PUBLIC.
	Blob []byte
	// Digest is the policy's.
	Digest [sha256.Size]byte
	// Parent is the handle of the storage root key, serialised by tpm2-tss's
	// rules, and Algorithm that key's: "ecc" or "rsa".
	Parent    []byte
	Algorithm string
}

// Seal seals a secret of at most 128 bytes under the policy. Literal must be in
// ascending order: the TPM hashes values in that order.
func (t *TPM) Seal(secret []byte, p Policy) (*Sealed, error) {
	digest, err := t.digest(p)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	storage, err := t.makeParent()
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	algorithm, err := storage.algorithm()
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	salted, err := storage.salted()
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	rsp, err := tpm2.Create{
		ParentHandle: storage.handle(salted),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: secret}),
		}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type:             tpm2.TPMAlgKeyedHash,
			NameAlg:          tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, NoDA: true},
			AuthPolicy:       tpm2.TPM2BDigest{Buffer: digest[:]},
		}),
	}.Execute(t.t)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	blob := append(tpm2.Marshal(rsp.OutPrivate), tpm2.Marshal(rsp.OutPublic)...)
	return &Sealed{Blob: blob, Digest: digest, Parent: storage.encode(), Algorithm: algorithm}, nil
}

// Unseal returns the secret. signatures are those over policies of register
// pcr.Kernel that came with the kernel image. Errors wrap ErrPolicy,
// ErrNotSigned, ErrOtherTPM or ErrBlob where the TPM works as it should.
func (t *TPM) Unseal(s *Sealed, p Policy, signatures []pcr.Signature) ([]byte, error) {
	private, public, err := splitBlob(s.Blob)
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	storage, err := t.checkParent(s.Parent)
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	salted, err := storage.salted()
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	object, err := tpm2.Load{ParentHandle: storage.handle(salted), InPrivate: *private, InPublic: *public}.Execute(t.t)
	if errors.Is(err, tpm2.TPMRCIntegrity) {
		return nil, fmt.Errorf("unseal: %w", ErrOtherTPM)
	}
	if err != nil {
		return nil, fmt.Errorf("unseal: load: %w: %w", ErrBlob, err)
	}
	defer t.flush(object.ObjectHandle)

	session, end, err := tpm2.PolicySession(t.t, tpm2.TPMAlgSHA256, 16, salted, tpm2.AESEncryption(128, tpm2.EncryptOut))
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	defer func() { _ = end() }()
	if err := t.satisfy(session.Handle(), p, s.Digest, signatures); err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	rsp, err := tpm2.Unseal{
		ItemHandle: tpm2.AuthHandle{Handle: object.ObjectHandle, Name: object.Name, Auth: session},
	}.Execute(t.t)
	if errors.Is(err, tpm2.TPMRCPolicyFail) {
		return nil, fmt.Errorf("unseal: %w", ErrPolicy)
	}
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	return rsp.OutData.Buffer, nil
}

func splitBlob(blob []byte) (*tpm2.TPM2BPrivate, *tpm2.TPM2BPublic, error) {
	if len(blob) < 2 || len(blob) > maxBlob {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrBlob, len(blob))
	}
	n := 2 + int(blob[0])<<8 + int(blob[1])
	if n > len(blob) {
		return nil, nil, fmt.Errorf("%w: it is cut off", ErrBlob)
	}
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](blob[:n])
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBlob, err)
	}
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](blob[n:])
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBlob, err)
	}
	return private, public, nil
}
