// Package rogue signs as somebody would who is not the organisation: with keys made on the
// spot, in the right forms.
package rogue

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mastercard/mangos/format/verity"
)

// Keys is a pair of files: a private key and its self-signed certificate, both PEM.
type Keys struct{ Key, Certificate string }

// Make makes an RSA key and a certificate in dir under the given subject name. A certificate
// with the organisation's own name differs from the organisation's in nothing but the key.
func Make(dir, file string, subject pkix.Name) (Keys, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Keys{}, fmt.Errorf("make rogue key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return Keys{}, fmt.Errorf("make rogue key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Keys{}, fmt.Errorf("make rogue certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Keys{}, fmt.Errorf("make rogue key: %w", err)
	}
	k := Keys{Key: filepath.Join(dir, file+".key"), Certificate: filepath.Join(dir, file+".crt")}
	return k, errors.Join(
		os.WriteFile(k.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(k.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
}

// Strip writes the EFI program in without its signatures to out.
func Strip(ctx context.Context, in, out string) error {
	content, err := os.ReadFile(in)
	if err != nil {
		return fmt.Errorf("strip: %w", err)
	}
	if err := os.WriteFile(out, content, 0o600); err != nil {
		return fmt.Errorf("strip: %w", err)
	}
	_, err = run(ctx, nil, "sbattach", "--remove", out)
	return err
}

// SignEFI signs the unsigned EFI program in and writes it to out.
func (k Keys) SignEFI(ctx context.Context, in, out string) error {
	_, err := run(ctx, nil, "sbsign", "--key", k.Key, "--cert", k.Certificate, "--output", out, in)
	return err
}

// SignRoot signs a root hash.
func (k Keys) SignRoot(ctx context.Context, root verity.RootHash) (*verity.Signature, error) {
	der, err := run(ctx, []byte(root.String()), "openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary",
		"-inkey", k.Key, "-signer", k.Certificate, "-outform", "der")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(k.Certificate)
	if err != nil {
		return nil, fmt.Errorf("sign root hash: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("sign root hash: %s holds no certificate", k.Certificate)
	}
	return &verity.Signature{Root: root, PKCS7: der, Fingerprint: sha256.Sum256(block.Bytes)}, nil
}

func run(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		text := bytes.TrimSpace(stderr.Bytes())
		return nil, fmt.Errorf("%s: %w: %q", name, err, text[max(0, len(text)-300):])
	}
	return out, nil
}
