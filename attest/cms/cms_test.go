package cms

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/format/uki/ukitest"
)

// pair makes the keys of a role and returns the certificate.
func pair(t *testing.T, dir string, role keys.Role) *x509.Certificate {
	t.Helper()
	bits := map[keys.Role]int{role: 2048}
	if _, err := keys.Generate(dir, keys.Options{Roles: []keys.Role{role}, Bits: bits, TryOut: true}); err != nil {
		t.Fatal(err)
	}
	c, err := keys.LoadCertificate(role, filepath.Join(dir, keys.PublicName(role)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDetached(t *testing.T) {
	dir := t.TempDir()
	mine, other := pair(t, dir, keys.Verity), pair(t, t.TempDir(), keys.Verity)
	content := []byte("00ff")
	if err := os.WriteFile(filepath.Join(dir, "content"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	sign := func(out string, more ...string) []byte {
		args := append([]string{"smime", "-sign", "-nocerts", "-binary", "-in", "content", "-signer", "verity.crt", "-inkey", "verity.key", "-outform", "der", "-out", out}, more...)
		oracle.Run(t, dir, "openssl", args...)
		return read(t, filepath.Join(dir, out))
	}
	good := sign("good", "-noattr", "-md", "sha256")
	if c, err := Detached(good, content, []*x509.Certificate{other, mine}); err != nil || c != mine {
		t.Errorf("good: %v", err)
	}
	if _, err := Detached(good, content, []*x509.Certificate{other}); !errors.Is(err, ErrSignature) {
		t.Errorf("another certificate: %v", err)
	}
	if _, err := Detached(good, content, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("no certificate: %v", err)
	}
	if _, err := Detached(good, []byte("00ff\n"), []*x509.Certificate{mine}); !errors.Is(err, ErrSignature) {
		t.Errorf("a newline more: %v", err)
	}
	if _, err := Detached(sign("attr", "-md", "sha256"), content, []*x509.Certificate{mine}); !errors.Is(err, ErrFormat) {
		t.Errorf("with attributes: %v", err)
	}
	if _, err := Detached(sign("sha1", "-noattr", "-md", "sha1"), content, []*x509.Certificate{mine}); !errors.Is(err, ErrFormat) {
		t.Errorf("SHA-1: %v", err)
	}
	if _, err := Detached(sign("opaque", "-noattr", "-nodetach", "-md", "sha256"), content, []*x509.Certificate{mine}); !errors.Is(err, ErrFormat) {
		t.Errorf("not detached: %v", err)
	}
}

// TestNothingFollows: bytes behind a signature, which libraries drop, are refused.
func TestNothingFollows(t *testing.T) {
	dir := t.TempDir()
	verity, boot := pair(t, dir, keys.Verity), pair(t, t.TempDir(), keys.Verity)
	content := []byte("00ff")
	der, err := EncodeDetached(content, verity, value(t, dir, keys.Verity, content))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Detached(der, content, []*x509.Certificate{boot, verity}); err != nil {
		t.Errorf("good: %v", err)
	}
	if _, err := Detached(append(bytes.Clone(der), 0), content, []*x509.Certificate{verity}); !errors.Is(err, ErrFormat) {
		t.Errorf("a byte behind it: %v", err)
	}
}

// TestCertificateTable: behind a program's signature there are up to seven zeros.
func TestCertificateTable(t *testing.T) {
	dir := t.TempDir()
	cert := pair(t, dir, keys.SecureBoot)
	p, err := NewProgram(ukitest.Image())
	if err != nil {
		t.Fatal(err)
	}
	message, err := p.Message()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := p.Sign(cert, value(t, dir, keys.SecureBoot, message))
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, signed)
	der, err := entry(bytes.NewReader(signed), f, int64(len(signed)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		behind string // the signature
		inside int    // so many bytes of them count as its entry's
		ok     bool
	}{
		"nothing":                 {"", 0, true},
		"zeros behind the entry":  {"\x00\x00\x00\x00\x00\x00\x00", 0, true},
		"zeros in the entry":      {"\x00\x00\x00\x00\x00\x00\x00", 7, true},
		"more zeros in the entry": {"\x00\x00\x00\x00\x00\x00\x00\x00", 8, false},
		"zeros in both":           {"\x00\x00\x00\x00\x00\x00\x00\x00", 4, false},
		"a byte behind the entry": {"\x00\x00\x00\x00\x00\x00x", 0, false},
		"a byte in the entry":     {"x\x00\x00\x00\x00\x00\x00", 7, false},
		"much in the entry":       {strings.Repeat("hidden ", 100), 700, false},
		"a shorter entry":         {"", -1, false},
	} {
		table := binary.LittleEndian.AppendUint32(nil, uint32(8+len(der)+c.inside))
		table = append(append(append(table, 0, 2, 2, 0), der...), c.behind...)
		image := append(bytes.Clone(signed[:f.Certificates.Offset]), table...)
		binary.LittleEndian.PutUint32(image[f.Directory.Offset+4:], uint32(len(table)))
		if _, err := Image(bytes.NewReader(image), int64(len(image)), []*x509.Certificate{cert}); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bootLoader is a program that Debian's tools can sign.
const bootLoader = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"

// program returns the path of the boot loader.
func program(t *testing.T) string {
	t.Helper()
	root := os.Getenv("MANGOS_TOOLS")
	if root == "" {
		root = "/"
	}
	path := filepath.Join(root, bootLoader)
	if _, err := os.Stat(path); err != nil {
		oracle.Missing(t, bootLoader)
	}
	return path
}

func TestImage(t *testing.T) {
	in := program(t)
	dir := t.TempDir()
	mine, other := pair(t, dir, keys.SecureBoot), pair(t, t.TempDir(), keys.SecureBoot)
	oracle.Run(t, dir, "sbsign", "--key", "secure-boot.key", "--cert", "secure-boot.crt", "--output", "signed.efi", in)
	signed := read(t, filepath.Join(dir, "signed.efi"))
	check := func(b []byte, trusted ...*x509.Certificate) error {
		_, err := Image(bytes.NewReader(b), int64(len(b)), trusted)
		return err
	}
	if err := check(signed, other, mine); err != nil {
		t.Errorf("good: %v", err)
	}
	if err := check(signed, other); !errors.Is(err, ErrSignature) {
		t.Errorf("another certificate: %v", err)
	}
	if err := check(read(t, in), mine); !errors.Is(err, ErrUnsigned) {
		t.Errorf("unsigned: %v", err)
	}
	for _, at := range []int{0x40, 0x1000, len(signed) / 2} {
		bad := bytes.Clone(signed)
		bad[at] ^= 1
		if err := check(bad, mine); err == nil {
			t.Errorf("byte %#x flipped: accepted", at)
		}
	}
	if err := check(append(bytes.Clone(signed), 0), mine); err == nil {
		t.Error("a byte more: accepted")
	}
	if err := check(signed[:len(signed)-8], mine); err == nil {
		t.Error("cut off: accepted")
	}
	oracle.Run(t, dir, "sbsign", "--key", "secure-boot.key", "--cert", "secure-boot.crt", "--output", "twice.efi", "signed.efi")
	if err := check(read(t, filepath.Join(dir, "twice.efi")), mine); !errors.Is(err, ErrFormat) {
		t.Errorf("two signatures: %v", err)
	}
}

func FuzzDetached(f *testing.F) {
	f.Add([]byte{0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02})
	f.Fuzz(func(t *testing.T, der []byte) {
		if _, err := Detached(der, nil, nil); err == nil {
			t.Error("accepted without a certificate")
		}
	})
}

func FuzzImage(f *testing.F) {
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Image(bytes.NewReader(b), int64(len(b)), nil); err == nil {
			t.Error("accepted without a certificate")
		}
	})
}
