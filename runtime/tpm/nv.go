package tpm

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// ErrForeign: the NV index exists, but not as Block defines it.
var ErrForeign = errors.New("the NV index is used for something else")

// maxTransfer is the most that is written or read at once. The specification's
// smallest MAX_NV_BUFFER of TPMs for PCs is 512 bytes.
const maxTransfer = 512

// Block is a block of data in an NV index of the owner's range. It survives
// reboots and power cuts; TPM2_Clear and whoever has the owner's authorization
// (empty unless somebody set it) can remove it.
type Block struct {
	// Handle is the NV index, 0x01800000 to 0x01bfffff.
	Handle uint32
	// Size in bytes, at most maxTransfer: one command writes it, so that a
	// power cut leaves the old content or the new.
	Size uint16
}

// public is the area as Block defines it: read and written with an empty
// authorization value, outside the dictionary attack logic (no wrong guess can
// lock it, there is nothing to guess).
func (b Block) public() tpm2.TPMSNVPublic {
	return tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(b.Handle),
		NameAlg: tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{
			OwnerWrite: true, AuthWrite: true, OwnerRead: true, AuthRead: true, NoDA: true,
			NT: tpm2.TPMNTOrdinary,
		},
		DataSize: b.Size,
	}
}

// Read returns the content, or nil where nothing was written yet.
func (b Block) Read(t *TPM) ([]byte, error) {
	name, written, err := b.find(t)
	if err != nil || !written {
		return nil, err
	}
	rsp, err := tpm2.NVRead{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(b.Handle), Name: *name, Auth: tpm2.PasswordAuth(nil)},
		NVIndex:    tpm2.NamedHandle{Handle: tpm2.TPMHandle(b.Handle), Name: *name},
		Size:       b.Size,
	}.Execute(t.t)
	if err != nil {
		return nil, fmt.Errorf("read NV index 0x%08x: %w", b.Handle, err)
	}
	if len(rsp.Data.Buffer) != int(b.Size) {
		return nil, fmt.Errorf("read NV index 0x%08x: got %d bytes of %d", b.Handle, len(rsp.Data.Buffer), b.Size)
	}
	return rsp.Data.Buffer, nil
}

// Write replaces the content, which must have the block's size, and defines
// the index first where it does not exist.
func (b Block) Write(t *TPM, data []byte) error {
	if len(data) != int(b.Size) || b.Size > maxTransfer {
		return fmt.Errorf("write NV index 0x%08x: %d bytes do not make a block of %d", b.Handle, len(data), b.Size)
	}
	name, _, err := b.find(t)
	if err != nil {
		return err
	}
	if name == nil {
		if err := b.define(t); err != nil {
			return err
		}
		if name, _, err = b.find(t); err != nil {
			return err
		}
	}
	_, err = tpm2.NVWrite{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(b.Handle), Name: *name, Auth: tpm2.PasswordAuth(nil)},
		NVIndex:    tpm2.NamedHandle{Handle: tpm2.TPMHandle(b.Handle), Name: *name},
		Data:       tpm2.TPM2BMaxNVBuffer{Buffer: data},
	}.Execute(t.t)
	if err != nil {
		return fmt.Errorf("write NV index 0x%08x: %w", b.Handle, err)
	}
	return nil
}

// find returns the index's name and whether it was ever written; a nil name if
// there is no such index. An index of another form is ErrForeign.
func (b Block) find(t *TPM) (*tpm2.TPM2BName, bool, error) {
	rsp, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(b.Handle)}.Execute(t.t)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look up NV index 0x%08x: %w", b.Handle, err)
	}
	public, err := rsp.NVPublic.Contents()
	if err != nil {
		return nil, false, fmt.Errorf("look up NV index 0x%08x: %w", b.Handle, err)
	}
	want, got := b.public(), *public
	written := got.Attributes.Written
	got.Attributes.Written = false
	if got.NVIndex != want.NVIndex || got.NameAlg != want.NameAlg || got.Attributes != want.Attributes ||
		got.DataSize != want.DataSize || len(got.AuthPolicy.Buffer) != 0 {
		return nil, false, fmt.Errorf("look up NV index 0x%08x: %w", b.Handle, ErrForeign)
	}
	return &rsp.NVName, written, nil
}

func (b Block) define(t *TPM) error {
	_, err := tpm2.NVDefineSpace{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		PublicInfo: tpm2.New2B(b.public()),
	}.Execute(t.t)
	if err != nil {
		return fmt.Errorf("define NV index 0x%08x: %w", b.Handle, err)
	}
	return nil
}
