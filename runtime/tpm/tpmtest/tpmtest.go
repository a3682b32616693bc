// Package tpmtest starts software TPMs for tests.
package tpmtest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/runtime/watch"
)

// An Emulator is a running swtpm.
type Emulator struct {
	// TPM talks to it.
	TPM transport.TPMCloser
	// Socket is its socket for commands; tpm2-tss's name for it is
	// "swtpm:path=SOCKET".
	Socket string

	process *os.Process
	ended   chan struct{}
}

// Start starts swtpm with its state in dir: the same state is the same TPM. It
// is a program of the system (package swtpm); without it the test is skipped.
func Start(t *testing.T, dir string) *Emulator {
	t.Helper()
	program, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("no swtpm here: what needs a TPM is not tested")
	}
	// The name of a socket has at most 107 characters.
	sockets, err := os.MkdirTemp("", "tpm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	// The socket has its name before it can be connected to; swtpm writes its
	// number when it listens.
	started := filepath.Join(sockets, "started")
	e := &Emulator{Socket: filepath.Join(sockets, "tpm"), ended: make(chan struct{})}
	cmd := exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+e.Socket, "--ctrl", "type=unixio,path="+e.Socket+".ctrl",
		"--flags", "not-need-init,startup-clear", "--pid", "file="+started)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.process = cmd.Process
	go func() { _ = cmd.Wait(); close(e.ended) }()
	t.Cleanup(e.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := watch.File(ctx, started); err != nil {
		t.Fatal(err)
	}
	// swtpm serves one connection and waits for the next, so that the driver
	// for emulators, which connects for each command, suits it.
	if e.TPM, err = linuxudstpm.Open(e.Socket); err != nil {
		t.Fatal(err)
	}
	return e
}

// Stop ends the emulator; its state stays. A second call does nothing.
func (e *Emulator) Stop() {
	_ = e.process.Signal(os.Interrupt)
	<-e.ended
}

// NewKey makes a key for PCR signatures.
func NewKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Extend measures text into a register.
func (e *Emulator) Extend(t *testing.T, register uint, text string) {
	t.Helper()
	_, err := tpm2.PCREvent{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(register), Auth: tpm2.PasswordAuth(nil)},
		EventData: tpm2.TPM2BEvent{Buffer: []byte(text)},
	}.Execute(e.TPM)
	if err != nil {
		t.Fatal(err)
	}
}

// Sign signs what register pcr.Kernel holds now.
func (e *Emulator) Sign(t *testing.T, key *rsa.PrivateKey) pcr.Signature {
	t.Helper()
	rsp, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(pcr.Kernel)}},
	}}.Execute(e.TPM)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := pcr.Policy(pcr.Value(rsp.PCRValues.Digests[0].Buffer))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(policy[:])
	raw, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return pcr.Signature{
		PCRs: []int{pcr.Kernel}, KeyFingerprint: pcr.Fingerprint(&key.PublicKey),
		Policy: policy.String(), Signature: base64.StdEncoding.EncodeToString(raw),
	}
}
