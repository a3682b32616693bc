package partition

import (
	"crypto/rsa"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/runtime/luks"
	"github.com/mastercard/mangos/runtime/recovery"
	"github.com/mastercard/mangos/runtime/tpm"
	"github.com/mastercard/mangos/runtime/tpm/tpmtest"
)

// booted is a machine with a TPM after a boot, and a volume for /var.
type booted struct {
	*tpmtest.Emulator
	*Enrolment
	signer *rsa.PrivateKey
	volume luks.Volume
	table  *gpt.Table
	key    recovery.Key
}

// boot makes such a machine, by Make.
func boot(t *testing.T) *booted {
	t.Helper()
	if _, err := exec.LookPath("cryptsetup"); err != nil {
		t.Skip("no cryptsetup here: volumes are not tested")
	}
	b := &booted{Emulator: tpmtest.Start(t, t.TempDir()), signer: tpmtest.NewKey(t), key: recovery.New()}
	b.Enrolment = &Enrolment{TPM: tpm.New(b.Emulator.TPM), Scratch: t.TempDir()}
	b.Policy = tpm.Policy{Literal: literal, Key: &b.signer.PublicKey}
	b.Extend(t, 7, "SecureBoot")
	b.Extend(t, 11, "linux")
	b.Signatures = []pcr.Signature{b.Sign(t, b.signer)}
	header, _, err := b.Make(t.Context(), machine.ID(gpt.TypeVar), "var", b.key)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(b.Scratch); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	b.volume.Path = filepath.Join(t.TempDir(), "var")
	if err := os.WriteFile(b.volume.Path, append(header, make([]byte, 1<<20)...), 0o600); err != nil {
		t.Fatal(err)
	}
	b.table = &gpt.Table{Partitions: []gpt.Partition{
		{Type: gpt.TypeRoot, ID: gpt.DeriveGUID("root"), Label: "root"},
		{Type: gpt.TypeVar, ID: machine.ID(gpt.TypeVar), Label: "var"},
	}}
	return b
}

func (b *booted) check(t *testing.T) ([]State, error) {
	t.Helper()
	return b.Check(t.Context(), b.table, machine, func(gpt.Partition) (string, error) { return b.volume.Path, nil })
}

// locked is why the TPM does not open the volume.
func (b *booted) locked(t *testing.T) error {
	t.Helper()
	states, err := b.check(t)
	if err != nil || len(states) != 1 || states[0].Label != "var" {
		t.Fatalf("%+v, %v", states, err)
	}
	if states[0].Locked == nil {
		tryTPM(t, b.Enrolment, b.volume)
	}
	return states[0].Locked
}

// tryTPM opens a volume with the passphrase that the TPM gives.
func tryTPM(t *testing.T, e *Enrolment, v luks.Volume) {
	t.Helper()
	metadata, err := v.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	passphrase, err := e.unlock(metadata)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Test(t.Context(), passphrase); err != nil {
		t.Errorf("%s: the TPM's passphrase: %v", v.Path, err)
	}
}

func TestMakeAndReseal(t *testing.T) {
	b := boot(t)
	if err := b.locked(t); err != nil {
		t.Fatalf("right after it was made: %v", err)
	}
	if err := b.volume.Test(t.Context(), []byte(b.key)); err != nil {
		t.Fatalf("the recovery key: %v", err)
	}
	b.Extend(t, 7, "dbx")
	err := b.locked(t)
	if !errors.Is(err, tpm.ErrPolicy) || !strings.Contains(Explain(err), "Secure Boot") || !strings.Contains(Explain(err), "reseal") {
		t.Fatalf("after Secure Boot changed: %v", err)
	}
	if err := b.Reseal(t.Context(), b.volume, []byte(recovery.New())); !errors.Is(err, luks.ErrWrongKey) {
		t.Errorf("resealed with another key: %v", err)
	}
	if err := b.Reseal(t.Context(), b.volume, []byte(b.key)); err != nil {
		t.Fatal(err)
	}
	if err := b.locked(t); err != nil {
		t.Fatalf("after it was resealed: %v", err)
	}
	m, err := b.volume.Metadata(t.Context())
	if err != nil || len(m.Slots) != 2 || !slices.Contains(m.Slots, luks.RecoverySlot) || len(m.Find(luks.TPMToken)) != 1 || len(m.Find(luks.RecoveryToken)) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if err := b.volume.Test(t.Context(), []byte(b.key)); err != nil {
		t.Errorf("the recovery key after it was resealed: %v", err)
	}
}

// A header is on a disk that others may have had: its token must not make us wipe
// the recovery key.
func TestResealKeepsTheRecoveryKey(t *testing.T) {
	b := boot(t)
	ctx := t.Context()
	m, err := b.volume.Metadata(ctx)
	if err != nil {
		t.Fatal(err)
	}
	token := strings.Replace(string(m.Tokens[m.Find(luks.TPMToken)[0]].JSON), `"keyslots"`, `"keyslots":["1"],"x"`, 1)
	if err := b.volume.ImportToken(ctx, []byte(token)); err != nil {
		t.Skipf("cryptsetup takes no such token: %v", err)
	}
	if err := b.Reseal(ctx, b.volume, []byte(b.key)); err != nil {
		t.Fatal(err)
	}
	if err := b.volume.Test(ctx, []byte(b.key)); err != nil {
		t.Errorf("the recovery key: %v", err)
	}
}

func TestCheckForeign(t *testing.T) {
	b := boot(t)
	ctx := t.Context()
	// The TPM token is gone: the recovery key is left.
	if err := b.volume.RemoveToken(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.locked(t); !errors.Is(err, ErrNoToken) {
		t.Errorf("without a TPM token: %v", err)
	}
	if err := b.volume.RemoveToken(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.check(t); !errors.Is(err, ErrForeign) {
		t.Errorf("without any token: %v", err)
	}
	if err := os.WriteFile(b.volume.Path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.check(t); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "not encrypted") {
		t.Errorf("a volume that is not encrypted: %v", err)
	}
	b.table.Partitions[1].ID = MachineID{}.ID(gpt.TypeVar)
	if _, err := b.check(t); !errors.Is(err, ErrForeign) {
		t.Errorf("a volume of another machine: %v", err)
	}
}

func TestMakeRefusesUnmeasuredBoots(t *testing.T) {
	if _, err := exec.LookPath("cryptsetup"); err != nil {
		t.Skip("no cryptsetup here: volumes are not tested")
	}
	key := tpmtest.NewKey(t)
	for _, c := range []struct {
		name    string
		measure func(*tpmtest.Emulator)
		sign    bool
		want    error
	}{
		{"no Secure Boot measured", func(*tpmtest.Emulator) {}, true, ErrState},
		{"something added", func(e *tpmtest.Emulator) { e.Extend(t, 7, "sb"); e.Extend(t, 12, "init=/bin/sh") }, true, ErrState},
		{"a kernel that is not signed", func(e *tpmtest.Emulator) { e.Extend(t, 7, "sb") }, false, tpm.ErrNotSigned},
	} {
		emulator := tpmtest.Start(t, t.TempDir())
		e := &Enrolment{TPM: tpm.New(emulator.TPM), Policy: tpm.Policy{Literal: literal, Key: &key.PublicKey}, Scratch: t.TempDir()}
		c.measure(emulator)
		if c.sign {
			e.Signatures = []pcr.Signature{emulator.Sign(t, key)}
		}
		if _, _, err := e.Make(t.Context(), machine.ID(gpt.TypeVar), "var", recovery.New()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The programs make what the kernel mounts: their options are known to them.
func TestMakeFileSystem(t *testing.T) {
	for kind, program := range map[gpt.GUID]string{gpt.TypeSwap: "mkswap", gpt.TypeVar: "mke2fs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Logf("no %s here: it is not tested", program)
			continue
		}
		path := filepath.Join(t.TempDir(), "volume")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 64<<20); err != nil {
			t.Fatal(err)
		}
		if err := makeFileSystem(t.Context(), path, kind, "label"); err != nil {
			t.Errorf("%s: %v", program, err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if kind == gpt.TypeSwap && string(raw[4086:4096]) != "SWAPSPACE2" || kind == gpt.TypeVar && string(raw[1024+56:1024+58]) != "\x53\xef" {
			t.Errorf("%s made something else", program)
		}
	}
	if err := makeFileSystem(t.Context(), "/nowhere/volume", gpt.TypeVar, "label"); err == nil || !strings.Contains(err.Error(), "mke2fs") {
		t.Errorf("got %v", err)
	}
}
