package tpm

import (
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/runtime/tpm/tpmtest"
)

func TestUnseal(t *testing.T) {
	key, other := tpmtest.NewKey(t), tpmtest.NewKey(t)
	policy := Policy{Literal: []uint{7, 12}, Key: &key.PublicKey}
	for _, c := range []struct {
		name string
		// change is made between sealing and unsealing, signatures are made after.
		change func(*testing.T, *tpmtest.Emulator)
		signer *rsa.PrivateKey
		want   error
	}{
		{"nothing changed", func(*testing.T, *tpmtest.Emulator) {}, key, nil},
		{"another kernel of the same key", func(t *testing.T, e *tpmtest.Emulator) { e.Extend(t, 11, "linux") }, key, nil},
		{"a kernel of another key", func(t *testing.T, e *tpmtest.Emulator) { e.Extend(t, 11, "linux") }, other, ErrNotSigned},
		{"Secure Boot changed", func(t *testing.T, e *tpmtest.Emulator) { e.Extend(t, 7, "dbx") }, key, ErrPolicy},
		{"something added to the boot", func(t *testing.T, e *tpmtest.Emulator) { e.Extend(t, 12, "init=/bin/sh") }, key, ErrPolicy},
	} {
		e := tpmtest.Start(t, t.TempDir())
		tpm := New(e.TPM)
		e.Extend(t, 7, "SecureBoot")
		sealed, err := tpm.Seal([]byte("the secret"), policy)
		if err != nil {
			t.Fatal(err)
		}
		c.change(t, e)
		// Ten times: what a run leaves behind in the TPM would fill it.
		for range 10 {
			got, err := tpm.Unseal(sealed, policy, []pcr.Signature{e.Sign(t, other), e.Sign(t, c.signer)})
			if !errors.Is(err, c.want) || err == nil && string(got) != "the secret" {
				t.Errorf("%s: got %q, %v; want %v", c.name, got, err, c.want)
			}
		}
		e.Stop()
	}
}

func TestUnsealWithoutSignature(t *testing.T) {
	key := tpmtest.NewKey(t)
	policy := Policy{Literal: []uint{7, 12}, Key: &key.PublicKey}
	e := tpmtest.Start(t, t.TempDir())
	tpm := New(e.TPM)
	sealed, err := tpm.Seal([]byte("the secret"), policy)
	if err != nil {
		t.Fatal(err)
	}
	old := e.Sign(t, key)
	e.Extend(t, 11, "another kernel")
	if _, err := tpm.Unseal(sealed, policy, []pcr.Signature{old}); !errors.Is(err, ErrNotSigned) {
		t.Errorf("signature of another state: %v", err)
	}
	// A signature says what it is over; the TPM believes only what it verifies.
	value, err := tpm.PCR(pcr.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	now, err := pcr.Policy(value)
	if err != nil {
		t.Fatal(err)
	}
	old.Policy = now.String()
	if _, err := tpm.Unseal(sealed, policy, []pcr.Signature{old}); !errors.Is(err, ErrNotSigned) {
		t.Errorf("relabelled signature: %v", err)
	}
}

func TestUnsealOnAnotherTPM(t *testing.T) {
	key := tpmtest.NewKey(t)
	policy := Policy{Literal: []uint{7, 12}, Key: &key.PublicKey}
	e := tpmtest.Start(t, t.TempDir())
	tpm := New(e.TPM)
	sealed, err := tpm.Seal([]byte("the secret"), policy)
	e.Stop()
	if err != nil {
		t.Fatal(err)
	}
	e = tpmtest.Start(t, t.TempDir())
	tpm = New(e.TPM)
	if _, err := tpm.Unseal(sealed, policy, []pcr.Signature{e.Sign(t, key)}); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("no storage key yet: %v", err)
	}
	here, err := tpm.Seal([]byte("x"), policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.Unseal(sealed, policy, []pcr.Signature{e.Sign(t, key)}); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("another storage key: %v", err)
	}
	here.Blob = sealed.Blob
	if _, err := tpm.Unseal(here, policy, []pcr.Signature{e.Sign(t, key)}); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("a blob under another storage key: %v", err)
	}
}

func TestStorageKeyStays(t *testing.T) {
	dir := t.TempDir()
	e := tpmtest.Start(t, dir)
	tpm := New(e.TPM)
	first, err := tpm.makeParent()
	if err != nil {
		t.Fatal(err)
	}
	e.Stop()
	e = tpmtest.Start(t, dir)
	tpm = New(e.TPM)
	second, err := tpm.makeParent()
	if err != nil || string(first.encode()) != string(second.encode()) {
		t.Fatalf("after a restart: %v, %x, %x", err, first.encode(), second.encode())
	}
}

func FuzzSplitBlob(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		private, public, err := splitBlob(raw)
		if err == nil && len(tpm2.Marshal(*private))+len(tpm2.Marshal(*public)) > len(raw) {
			t.Fatal("more came out than went in")
		}
	})
}
