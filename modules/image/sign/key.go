// Package sign makes the signatures of an image. It runs openssl and systemd's
// signing tools, so that a key may lie in a file or behind a PKCS#11 URI.
package sign

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrKey is wrapped by every error about a key or a certificate.
var ErrKey = errors.New("unusable key")

// maxFile bounds the size in bytes of a key or certificate file.
const maxFile = 1 << 20

// TryOut is the organisation that stands in the certificates of keys that the
// build made by itself. What they sign is marked, whatever the arguments say.
const TryOut = "mangos try-out, unfit for use"

// Key names a private key: the path of a PEM file, or a PKCS#11 URI.
type Key string

// provided tells whether openssl must get the key from its PKCS#11 provider.
func (k Key) provided() bool { return strings.HasPrefix(string(k), "pkcs11:") }

// check makes sure that a key given as a file is there, so that the error is
// ours and not a tool's.
func (k Key) check() error {
	if k == "" {
		return fmt.Errorf("no key given: %w", ErrKey)
	}
	if k.provided() {
		return nil
	}
	st, err := os.Stat(string(k))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrKey, err)
	case !st.Mode().IsRegular() || st.Size() > maxFile:
		return fmt.Errorf("%s is no key file: %w", k, ErrKey)
	}
	return nil
}

// source returns the value that systemd's tools want for --private-key-source.
func (k Key) source() string {
	if k.provided() {
		return "provider:pkcs11"
	}
	return "file"
}

// openssl returns the arguments that make openssl find the key.
func (k Key) openssl() []string {
	if k.provided() {
		return []string{"-provider", "default", "-provider", "pkcs11"}
	}
	return nil
}

// Certificate is an X.509 certificate in a PEM file.
type Certificate struct {
	Path string
	*x509.Certificate
}

// ReadCertificate reads the one certificate in a PEM file.
func ReadCertificate(path string) (*Certificate, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w: %w", ErrKey, err)
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("read certificate %s: %d bytes: %w", path, st.Size(), ErrKey)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w: %w", ErrKey, err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("read certificate %s: not one PEM certificate: %w", path, ErrKey)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w: %w", path, ErrKey, err)
	}
	return &Certificate{Path: path, Certificate: c}, nil
}

// Fingerprint is the SHA-256 of the certificate's DER form.
func (c *Certificate) Fingerprint() [sha256.Size]byte { return sha256.Sum256(c.Raw) }

// IsTryOut tells whether the certificate belongs to keys made for trying out.
func (c *Certificate) IsTryOut() bool {
	for _, o := range c.Subject.Organization {
		if o == TryOut {
			return true
		}
	}
	return false
}
