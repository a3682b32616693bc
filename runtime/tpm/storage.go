package tpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// storageHandle is where the storage root key lies for good: TCG TPM v2.0
// Provisioning Guidance, section 7.5.1.
const storageHandle tpm2.TPMHandle = 0x81000001

// keyResource is the type that tpm2-tss gives to a key in a serialised handle.
const keyResource = 1

var (
	// ErrStorage: what lies at the storage root key's place is none.
	ErrStorage = errors.New("the TPM has no usable storage root key; clear the TPM in the firmware's settings")
	// ErrOtherTPM: something was sealed by another TPM, or by this one before
	// it was cleared.
	ErrOtherTPM = errors.New("sealed by another TPM, or before this one was cleared")
)

// A parent is the storage root key: the key that sealed things lie under.
type parent struct {
	name   tpm2.TPM2BName
	public tpm2.TPM2BPublic
}

// findParent returns the storage root key at its place, nil if there is none.
func (t *TPM) findParent() (*parent, error) {
	rsp, err := tpm2.ReadPublic{ObjectHandle: storageHandle}.Execute(t.t)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read storage root key: %w", err)
	}
	p := &parent{name: rsp.Name, public: rsp.OutPublic}
	contents, err := p.public.Contents()
	if err != nil {
		return nil, fmt.Errorf("read storage root key: %w", err)
	}
	if a := contents.ObjectAttributes; !a.Restricted || !a.Decrypt || !a.FixedTPM || !a.UserWithAuth {
		return nil, fmt.Errorf("read storage root key: %w", ErrStorage)
	}
	return p, nil
}

// makeParent returns the storage root key and makes it first where there is
// none, as the Provisioning Guidance wants it and systemd-tpm2-setup does: with
// the TCG's template, ECC where the TPM knows P-256, RSA-2048 otherwise.
func (t *TPM) makeParent() (*parent, error) {
	p, err := t.findParent()
	if p != nil || err != nil {
		return p, err
	}
	rsp, err := t.createParent(tpm2.ECCSRKTemplate)
	if errors.Is(err, tpm2.TPMRCCurve) || errors.Is(err, tpm2.TPMRCType) || errors.Is(err, tpm2.TPMRCValue) {
		rsp, err = t.createParent(tpm2.RSASRKTemplate)
	}
	if err != nil {
		return nil, fmt.Errorf("make storage root key: %w", err)
	}
	_, err = tpm2.EvictControl{
		Auth:             tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		ObjectHandle:     tpm2.NamedHandle{Handle: rsp.ObjectHandle, Name: rsp.Name},
		PersistentHandle: storageHandle,
	}.Execute(t.t)
	t.flush(rsp.ObjectHandle)
	if err != nil {
		return nil, fmt.Errorf("keep storage root key: %w", err)
	}
	return t.findParent()
}

func (t *TPM) createParent(template tpm2.TPMTPublic) (*tpm2.CreatePrimaryResponse, error) {
	return tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(template),
	}.Execute(t.t)
}

// flush frees an object in the TPM. A TPM that cannot do so runs out of room
// for objects, and says so at the next one.
func (t *TPM) flush(handle tpm2.TPMHandle) {
	_, _ = tpm2.FlushContext{FlushHandle: handle}.Execute(t.t)
}

// salted makes a session's key known to the TPM and us alone. What is secret on
// the way is encrypted with it.
func (p *parent) salted() (tpm2.AuthOption, error) {
	public, err := p.public.Contents()
	if err != nil {
		return nil, fmt.Errorf("storage root key: %w", err)
	}
	return tpm2.Salted(storageHandle, *public), nil
}

// handle returns the key as commands take it, authorized by the empty value
// that the template gives it.
func (p *parent) handle(salted tpm2.AuthOption) tpm2.AuthHandle {
	session := tpm2.HMAC(tpm2.TPMAlgSHA256, 16, salted, tpm2.AESEncryption(128, tpm2.EncryptInOut))
	return tpm2.AuthHandle{Handle: storageHandle, Name: p.name, Auth: session}
}

// encode gives the form in which tpm2-tss (Esys_TR_Serialize) keeps a handle.
func (p *parent) encode() []byte {
	var b bytes.Buffer
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(storageHandle)))
	b.Write(tpm2.Marshal(p.name))
	b.Write(binary.BigEndian.AppendUint32(nil, keyResource))
	b.Write(tpm2.Marshal(p.public))
	return b.Bytes()
}

// checkParent returns the storage root key if it is the one that raw, in
// encode's form, was made for.
func (t *TPM) checkParent(raw []byte) (*parent, error) {
	p, err := t.findParent()
	if err != nil {
		return nil, err
	}
	if p == nil || !bytes.Equal(p.encode(), raw) {
		return nil, ErrOtherTPM
	}
	return p, nil
}

// algorithm returns systemd's name of the key's algorithm.
func (p *parent) algorithm() (string, error) {
	public, err := p.public.Contents()
	if err != nil {
		return "", fmt.Errorf("storage root key: %w", err)
	}
	switch public.Type {
	case tpm2.TPMAlgECC:
		return "ecc", nil
	case tpm2.TPMAlgRSA:
		return "rsa", nil
	}
	return "", ErrStorage
}
