package tpm

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/mastercard/mangos/format/pcr"
)

// extend measures text into a register.
func extend(t *testing.T, tpm *TPM, register uint, text string) {
	t.Helper()
	_, err := tpm2.PCREvent{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(register), Auth: tpm2.PasswordAuth(nil)},
		EventData: tpm2.TPM2BEvent{Buffer: []byte(text)},
	}.Execute(tpm.t)
	if err != nil {
		t.Fatal(err)
	}
}

// sign signs what PCR 11 holds now.
func sign(t *testing.T, tpm *TPM, key *rsa.PrivateKey) pcr.Signature {
	t.Helper()
	value, err := tpm.PCR(pcr.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := pcr.Policy(value)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(policy[:])
	raw, err := rsa.SignPKCS1v15(rand.Reader, key, 5, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return pcr.Signature{
		PCRs: []int{pcr.Kernel}, KeyFingerprint: pcr.Fingerprint(&key.PublicKey),
		Policy: policy.String(), Signature: base64.StdEncoding.EncodeToString(raw),
	}
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestUnseal(t *testing.T) {
	key, other := newKey(t), newKey(t)
	policy := Policy{Literal: []uint{7, 12}, Key: &key.PublicKey}
	for _, c := range []struct {
		name string
		// change is made between sealing and unsealing, signatures are made after.
		change func(*testing.T, *TPM)
		signer *rsa.PrivateKey
		want   error
	}{
		{"nothing changed", func(*testing.T, *TPM) {}, key, nil},
		{"another kernel of the same key", func(t *testing.T, tpm *TPM) { extend(t, tpm, 11, "linux") }, key, nil},
		{"a kernel of another key", func(t *testing.T, tpm *TPM) { extend(t, tpm, 11, "linux") }, other, ErrNotSigned},
		{"Secure Boot changed", func(t *testing.T, tpm *TPM) { extend(t, tpm, 7, "dbx") }, key, ErrPolicy},
		{"something added to the boot", func(t *testing.T, tpm *TPM) { extend(t, tpm, 12, "init=/bin/sh") }, key, ErrPolicy},
	} {
		tpm, stop := emulator(t, t.TempDir())
		extend(t, tpm, 7, "SecureBoot")
		sealed, err := tpm.Seal([]byte("the secret"), policy)
		if err != nil {
			t.Fatal(err)
		}
		c.change(t, tpm)
		// Ten times: what a run leaves behind in the TPM would fill it.
		for range 10 {
			got, err := tpm.Unseal(sealed, policy, []pcr.Signature{sign(t, tpm, other), sign(t, tpm, c.signer)})
			if !errors.Is(err, c.want) || err == nil && string(got) != "the secret" {
				t.Errorf("%s: got %q, %v; want %v", c.name, got, err, c.want)
			}
		}
		stop()
	}
}

func TestUnsealWithoutSignature(t *testing.T) {
	key := newKey(t)
	policy := Policy{Literal: []uint{7, 12}, Key: &key.PublicKey}
	tpm, stop := emulator(t, t.TempDir())
	defer stop()
	sealed, err := tpm.Seal([]byte("the secret"), policy)
	if err != nil {
		t.Fatal(err)
	}
	old := sign(t, tpm, key)
	extend(t, tpm, 11, "another kernel")
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
	key := newKey(t)
	policy := Policy{Literal: []uint{7, 12}, Key: &key.PublicKey}
	tpm, stop := emulator(t, t.TempDir())
	sealed, err := tpm.Seal([]byte("the secret"), policy)
	stop()
	if err != nil {
		t.Fatal(err)
	}
	tpm, stop = emulator(t, t.TempDir())
	defer stop()
	if _, err := tpm.Unseal(sealed, policy, []pcr.Signature{sign(t, tpm, key)}); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("no storage key yet: %v", err)
	}
	here, err := tpm.Seal([]byte("x"), policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.Unseal(sealed, policy, []pcr.Signature{sign(t, tpm, key)}); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("another storage key: %v", err)
	}
	here.Blob = sealed.Blob
	if _, err := tpm.Unseal(here, policy, []pcr.Signature{sign(t, tpm, key)}); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("a blob under another storage key: %v", err)
	}
}

func TestStorageKeyStays(t *testing.T) {
	dir := t.TempDir()
	tpm, stop := emulator(t, dir)
	first, err := tpm.makeParent()
	if err != nil {
		t.Fatal(err)
	}
	stop()
	tpm, stop = emulator(t, dir)
	defer stop()
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
