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

// TryOut stands in the name of every certificate of keys made for trying things
// out. What they sign is marked, whatever the arguments say.
const TryOut = "TRY-OUT"

// Key names a private key: the path of a PEM file, or a PKCS#11 URI.
type Key struct{ name string }

// OpenKey finds the key that text names: a PKCS#11 URI, or the path of a file
// which holds a key in PEM or the URI of one.
func OpenKey(text string) (Key, error) {
	if text == "" {
		return Key{}, fmt.Errorf("no key given: %w", ErrKey)
	}
	if strings.HasPrefix(text, scheme) {
		return Key{text}, nil
	}
	content, err := readSmall(text)
	if err != nil {
		return Key{}, err
	}
	if uri := strings.TrimSpace(string(content)); strings.HasPrefix(uri, scheme) {
		if strings.ContainsAny(uri, "\n\r") {
			return Key{}, fmt.Errorf("%s: more than a PKCS#11 URI: %w", text, ErrKey)
		}
		return Key{uri}, nil
	}
	if block, _ := pem.Decode(content); block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return Key{}, fmt.Errorf("%s holds neither a private key in PEM nor a PKCS#11 URI: %w", text, ErrKey)
	}
	return Key{text}, nil
}

const scheme = "pkcs11:"

// provided tells whether openssl must get the key from its PKCS#11 provider.
func (k Key) provided() bool { return strings.HasPrefix(k.name, scheme) }

// readSmall reads a key's or certificate's file.
func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	case !st.Mode().IsRegular() || st.Size() > maxFile:
		return nil, fmt.Errorf("%s is no file of a key: %w", path, ErrKey)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return content, nil
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
	text, err := readSmall(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
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
	return strings.Contains(c.Subject.String(), TryOut)
}
