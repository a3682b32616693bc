package tpm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/mastercard/mangos/runtime/tpm/tpmtest"
)

// emulator starts a software TPM with its state in dir.
func emulator(t *testing.T, dir string) (*TPM, func()) {
	t.Helper()
	e := tpmtest.Start(t, dir)
	return New(e.TPM), e.Stop
}

func TestPCR(t *testing.T) {
	tpm, stop := emulator(t, t.TempDir())
	defer stop()
	value, err := tpm.PCR(12)
	if err != nil || value != [32]byte{} {
		t.Fatalf("fresh PCR 12 is %x, %v", value, err)
	}
	_, err = tpm2.PCREvent{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(12), Auth: tpm2.PasswordAuth(nil)},
		EventData: tpm2.TPM2BEvent{Buffer: []byte("init=/bin/sh")},
	}.Execute(tpm.t)
	if err != nil {
		t.Fatal(err)
	}
	if value, err = tpm.PCR(12); err != nil || value == [32]byte{} {
		t.Fatalf("PCR 12 after an event is %x, %v", value, err)
	}
	if value, err = tpm.PCR(13); err != nil || value != [32]byte{} {
		t.Fatalf("PCR 13 is %x, %v", value, err)
	}
}

var block = Block{Handle: 0x01a00001, Size: 400}

func TestBlockSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	tpm, stop := emulator(t, dir)
	if got, err := block.Read(tpm); got != nil || err != nil {
		t.Fatalf("before the first write: %x, %v", got, err)
	}
	data := bytes.Repeat([]byte{0xa5}, int(block.Size))
	for i := range 2 {
		data[0] = byte(i)
		if err := block.Write(tpm, data); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	tpm, stop = emulator(t, dir)
	defer stop()
	if got, err := block.Read(tpm); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("after a restart: %x, %v", got, err)
	}
}

func TestBlockOfAnotherForm(t *testing.T) {
	tpm, stop := emulator(t, t.TempDir())
	defer stop()
	other := block
	other.Size = 8
	if err := other.Write(tpm, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if _, err := block.Read(tpm); !errors.Is(err, ErrForeign) {
		t.Errorf("read: %v", err)
	}
	if err := block.Write(tpm, make([]byte, 400)); !errors.Is(err, ErrForeign) {
		t.Errorf("write: %v", err)
	}
	if err := block.Write(tpm, make([]byte, 8)); err == nil {
		t.Error("a write of another size was accepted")
	}
}

func TestOpenWithoutDevice(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), root); !errors.Is(err, ErrMissing) {
		t.Fatalf("got %v", err)
	}
	// The firmware promises one: it is waited for, as long as ctx says.
	table := filepath.Join(root, "sys/firmware/acpi/tables/TPM2")
	if err := os.MkdirAll(filepath.Dir(table), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(table, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, root); !errors.Is(err, ErrMissing) || ctx.Err() == nil {
		t.Fatalf("got %v before its time was over", err)
	}
}
