package luks

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mastercard/mangos/format/pcr"
	"github.com/mastercard/mangos/runtime/tpm"
	"github.com/mastercard/mangos/runtime/tpm/tpmtest"
)

// Whether a token is right is for systemd to say: what it enrols we unlock, and
// what we enrol it unlocks.

// machine is a TPM after a boot, and what the kernel image brought with it.
type machine struct {
	*tpmtest.Emulator
	tpm        *tpm.TPM
	key        *rsa.PrivateKey
	policy     tpm.Policy
	signatures []pcr.Signature
	dir        string
}

// systemd returns a machine whose TPM systemd's programs can use. They need a
// version that keeps the storage root key in the token.
func systemd(t *testing.T) *machine {
	t.Helper()
	out, err := exec.Command("systemd-cryptenroll", "--version").Output()
	if err != nil {
		t.Skip("no systemd-cryptenroll here: tokens are not held against it")
	}
	fields := strings.Fields(string(out))
	if version, err := strconv.Atoi(fields[1]); err != nil || version < 257 {
		t.Skipf("systemd-cryptenroll %s here, tokens are held against 257 and later", fields[1])
	}
	m := &machine{Emulator: tpmtest.Start(t, t.TempDir()), dir: t.TempDir()}
	m.tpm = tpm.New(m.TPM)
	m.key = tpmtest.NewKey(t)
	m.policy = tpm.Policy{Literal: []uint{7, 12}, Key: &m.key.PublicKey}
	m.Extend(t, 7, "SecureBoot")
	m.Extend(t, 11, "linux")
	m.sign(t)
	return m
}

// sign signs what PCR 11 holds now, for us and for systemd.
func (m *machine) sign(t *testing.T) {
	t.Helper()
	m.signatures = []pcr.Signature{m.Sign(t, m.key)}
	text, err := pcr.EncodeSignatures(m.signatures)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&m.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"tpm2-pcr-signature.json": text,
		"tpm2-pcr-public-key.pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"key":                     []byte("first"),
	} {
		if err := os.WriteFile(filepath.Join(m.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a program with the signature where systemd looks for it, /run/systemd,
// in a mount namespace of its own.
func (m *machine) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root: systemd's programs cannot be given a signature")
	}
	shell := `mkdir -p /run/systemd && mount --bind "$0" /run/systemd && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", shell, m.dir}, args...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_TPM2_DEVICE=swtpm:path="+m.Socket, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// enrol adds a TPM token of ours.
func (m *machine) enrol(t *testing.T, v Volume) {
	t.Helper()
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	sealed, err := m.tpm.Seal(secret, m.policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.AddKey(t.Context(), []byte("first"), Passphrase(secret), 1); err != nil {
		t.Fatal(err)
	}
	token, err := EncodeTPM(1, sealed, m.policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.ImportToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

// unlock opens the volume with its first TPM token, as we read it.
func (m *machine) unlock(t *testing.T, v Volume) error {
	t.Helper()
	metadata, err := v.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealed, policy, err := ParseTPM(metadata.Tokens[metadata.Find(TPMToken)[0]])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(policy.Literal, m.policy.Literal) || !policy.Key.Equal(m.policy.Key) {
		t.Fatalf("the token's policy is %+v", policy)
	}
	secret, err := m.tpm.Unseal(sealed, *policy, m.signatures)
	if err != nil {
		return err
	}
	return v.Test(t.Context(), Passphrase(secret))
}

// systemdUnlock lets systemd open the volume with its TPM token, to add a key.
// What systemd-cryptenroll unlocks with is the code of systemd-cryptsetup.
func (m *machine) systemdUnlock(t *testing.T, v Volume) (string, error) {
	return m.run(t, "systemd-cryptenroll", "--unlock-tpm2-device=swtpm:path="+m.Socket, "--recovery-key", v.Path)
}

func TestSystemdUnlocksOurs(t *testing.T) {
	m := systemd(t)
	v := volume(t)
	m.enrol(t, v)
	if out, err := m.systemdUnlock(t, v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.Extend(t, 11, "another kernel")
	if out, err := m.systemdUnlock(t, v); err == nil {
		t.Fatalf("opened with another kernel: %s", out)
	}
	m.sign(t)
	if out, err := m.systemdUnlock(t, v); err != nil {
		t.Fatalf("another kernel that the key signed: %v: %s", err, out)
	}
	m.Extend(t, 12, "init=/bin/sh")
	if out, err := m.systemdUnlock(t, v); err == nil {
		t.Fatalf("opened with a changed command line: %s", out)
	}
}

func (m *machine) systemdEnrol(t *testing.T, v Volume) {
	t.Helper()
	out, err := m.run(t, "systemd-cryptenroll", "--unlock-key-file="+filepath.Join(m.dir, "key"),
		"--tpm2-device=swtpm:path="+m.Socket, "--tpm2-pcrs=7+12", "--tpm2-pcrlock=",
		"--tpm2-public-key="+filepath.Join(m.dir, "tpm2-pcr-public-key.pem"), "--tpm2-public-key-pcrs=11", v.Path)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestWeUnlockSystemds(t *testing.T) {
	m := systemd(t)
	v := volume(t)
	m.systemdEnrol(t, v)
	if err := m.unlock(t, v); err != nil {
		t.Fatal(err)
	}
	m.Extend(t, 7, "dbx")
	if err := m.unlock(t, v); err == nil {
		t.Fatal("opened with another Secure Boot state")
	}
}

// The two tokens differ in the secret alone.
func TestTokensAreAlike(t *testing.T) {
	m := systemd(t)
	ours, theirs := volume(t), volume(t)
	m.enrol(t, ours)
	m.systemdEnrol(t, theirs)
	var both [2]map[string]any
	for i, v := range []Volume{ours, theirs} {
		metadata, err := v.Metadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(metadata.Tokens[0].JSON, &both[i]); err != nil {
			t.Fatal(err)
		}
		// What differs: the sealed secret (of the same length).
		both[i]["tpm2-blob"] = len(both[i]["tpm2-blob"].(string))
	}
	a, b := must(t, both[0]), must(t, both[1])
	if !bytes.Equal(a, b) {
		t.Errorf("ours   %s\nsystemd's %s", a, b)
	}
}

func must(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// systemd-cryptenroll lists, wipes and re-enrols what we made.
func TestCryptenrollManagesOurs(t *testing.T) {
	m := systemd(t)
	v := volume(t)
	m.enrol(t, v)
	if err := v.AddKey(t.Context(), []byte("first"), []byte("recovery"), 2); err != nil {
		t.Fatal(err)
	}
	if err := v.ImportToken(t.Context(), EncodeRecovery(2)); err != nil {
		t.Fatal(err)
	}
	out, err := m.run(t, "systemd-cryptenroll", v.Path)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := strings.Join(strings.Fields(out), " "); got != "SLOT TYPE 0 password 1 tpm2 2 recovery" {
		t.Errorf("listed: %s", got)
	}
	if out, err := m.run(t, "systemd-cryptenroll", "--unlock-key-file="+filepath.Join(m.dir, "key"), "--wipe-slot=tpm2", v.Path); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	metadata, err := v.Metadata(t.Context())
	if err != nil || !slices.Equal(metadata.Slots, []int{0, 2}) || metadata.Find(TPMToken) != nil {
		t.Fatalf("after the wipe: %+v, %v", metadata, err)
	}
	m.systemdEnrol(t, v)
	if err := m.unlock(t, v); err != nil {
		t.Fatal(err)
	}
}
