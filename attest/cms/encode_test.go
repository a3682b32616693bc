package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/format/pe"
)

// value is the signature value over message by the key of a role in dir.
func value(t *testing.T, dir string, role keys.Role, message []byte) []byte {
	t.Helper()
	key, err := keys.LoadPrivate(role, filepath.Join(dir, keys.PrivateName(role)))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(message)
	v, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What is written is what openssl writes, byte for byte.
func TestEncodeDetached(t *testing.T) {
	dir := t.TempDir()
	cert := pair(t, dir, keys.Verity)
	content := []byte("0123456789abcdef")
	if err := os.WriteFile(filepath.Join(dir, "content"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	oracle.Run(t, dir, "openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-md", "sha256", "-in", "content",
		"-signer", "verity.crt", "-inkey", "verity.key", "-outform", "der", "-out", "want")
	good := value(t, dir, keys.Verity, content)
	got, err := EncodeDetached(content, cert, good)
	if err != nil {
		t.Fatal(err)
	}
	if want := read(t, filepath.Join(dir, "want")); !bytes.Equal(got, want) {
		t.Errorf("%x\nopenssl writes\n%x", got, want)
	}
	if _, err := EncodeDetached([]byte("other"), cert, good); !errors.Is(err, ErrSignature) {
		t.Errorf("a value over other content: %v", err)
	}
	if _, err := EncodeDetached(content, pair(t, t.TempDir(), keys.Verity), good); !errors.Is(err, ErrSignature) {
		t.Errorf("a value by another key: %v", err)
	}
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	cert := pair(t, dir, keys.SecureBoot)
	original := read(t, program(t))
	// A size that is no multiple of eight is padded.
	for _, in := range [][]byte{original, append(bytes.Clone(original), 1, 2, 3)} {
		p, err := NewProgram(in)
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
		if err := os.WriteFile(filepath.Join(dir, "ours.efi"), signed, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "in.efi"), in, 0o600); err != nil {
			t.Fatal(err)
		}
		oracle.Run(t, dir, "sbverify", "--cert", "secure-boot.crt", "ours.efi")
		agree(t, dir, signed)
		if again, err := p.Sign(cert, value(t, dir, keys.SecureBoot, message)); err != nil || !bytes.Equal(again, signed) {
			t.Errorf("signed again it is another image (%v)", err)
		}
		if _, err := p.Sign(cert, value(t, dir, keys.SecureBoot, append(message, 0))); !errors.Is(err, ErrSignature) {
			t.Errorf("a value over something else: %v", err)
		}
		if _, err := NewProgram(signed); !errors.Is(err, ErrSigned) {
			t.Errorf("signed twice: %v", err)
		}
	}
}

// agree holds an image against what the two signing tools of Debian make of the
// same program: all but the signature's own bytes is the same, and so is the
// digest that it is over.
func agree(t *testing.T, dir string, ours []byte) {
	t.Helper()
	oracle.Run(t, dir, "sbsign", "--key", "secure-boot.key", "--cert", "secure-boot.crt", "--output", "sbsign.efi", "in.efi")
	oracle.Run(t, dir, "systemd-sbsign", "sign", "--private-key=secure-boot.key", "--certificate=secure-boot.crt", "--output=systemd.efi", "in.efi")
	for _, name := range []string{"sbsign.efi", "systemd.efi"} {
		theirs := read(t, filepath.Join(dir, name))
		a, b := open(t, ours), open(t, theirs)
		if a.Certificates.Offset != b.Certificates.Offset {
			t.Fatalf("%s: the signature stands at %d, ours at %d", name, b.Certificates.Offset, a.Certificates.Offset)
		}
		x, err := Digest(bytes.NewReader(ours), a)
		if err != nil {
			t.Fatal(err)
		}
		y, err := Digest(bytes.NewReader(theirs), b)
		if err != nil {
			t.Fatal(err)
		}
		if x != y {
			t.Errorf("%s: is over %x, ours over %x", name, y, x)
		}
		field := a.Header.Offset + optionalHeader + checksumField
		if got, want := binary.LittleEndian.Uint32(theirs[field:]), checksum(theirs, field); got != want {
			t.Errorf("%s: has the checksum %d, we compute %d", name, got, want)
		}
	}
}

func open(t *testing.T, image []byte) *pe.File {
	t.Helper()
	f, err := pe.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func FuzzNewProgram(f *testing.F) {
	f.Add([]byte("MZ"))
	small := make([]byte, 512)
	copy(small, "MZ")
	small[60] = 64
	copy(small[64:], "PE\x00\x00\x64\x86\x00\x00")
	small[64+20] = 240
	copy(small[64+24:], "\x0b\x02")
	small[64+24+108] = 16
	f.Add(small)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := NewProgram(b)
		if err != nil {
			return
		}
		if _, err := p.Message(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Sign(&x509.Certificate{}, nil); err == nil {
			t.Fatal("no signature at all is accepted")
		}
	})
}
