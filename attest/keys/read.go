package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// MaxFile is the size in bytes above which a file is no key.
const MaxFile = 64 << 10

// Sentinels of the readers.
var (
	// ErrEncrypted: the private key is protected by a passphrase.
	ErrEncrypted = errors.New("private key is encrypted")
	// ErrFormat: the file is not what its reader wants.
	ErrFormat = errors.New("not a key file of the wanted form")
)

// ReadFile reads a whole key file, at most [MaxFile] bytes.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("read key %s: %w: more than %d bytes", path, ErrFormat, MaxFile)
	}
	return data, nil
}

// block returns the only PEM block of data; anything around it but white
// space is refused, so that two readers cannot see two different keys.
func block(data []byte) (*pem.Block, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFormat, MaxFile)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("%w: no PEM block at its beginning", ErrFormat)
	}
	b, rest := pem.Decode(data)
	if b == nil {
		return nil, fmt.Errorf("%w: no PEM block", ErrFormat)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: something follows the PEM block", ErrFormat)
	}
	return b, nil
}

// ParsePrivate reads a PEM private key: PKCS#8 "PRIVATE KEY", or the older
// "RSA PRIVATE KEY". One under a passphrase is [ErrEncrypted].
func ParsePrivate(data []byte) (crypto.Signer, error) {
	b, err := block(data)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	var key any
	switch b.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		if len(b.Headers) > 0 {
			return nil, fmt.Errorf("parse private key: %w", ErrEncrypted)
		}
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "ENCRYPTED PRIVATE KEY", sealedType, oldSealedType:
		return nil, fmt.Errorf("parse private key: %w", ErrEncrypted)
	default:
		return nil, fmt.Errorf("parse private key: %w: PEM type %q", ErrFormat, b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w: %w", ErrFormat, err)
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("parse private key: %w: a %T cannot sign", ErrFormat, key)
	}
	return s, nil
}

// ParsePublic reads a PEM "PUBLIC KEY", or takes the key of a "CERTIFICATE".
func ParsePublic(data []byte) (crypto.PublicKey, error) {
	b, err := block(data)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	switch b.Type {
	case "PUBLIC KEY":
		k, err := x509.ParsePKIXPublicKey(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse public key: %w: %w", ErrFormat, err)
		}
		return k, nil
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse public key: %w: %w", ErrFormat, err)
		}
		return c.PublicKey, nil
	}
	return nil, fmt.Errorf("parse public key: %w: PEM type %q", ErrFormat, b.Type)
}

// ParseCertificate reads exactly one PEM certificate.
func ParseCertificate(data []byte) (*x509.Certificate, error) {
	b, err := block(data)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	if b.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("parse certificate: %w: PEM type %q", ErrFormat, b.Type)
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w: %w", ErrFormat, err)
	}
	return c, nil
}

// LoadPrivate reads the private key of role from path and checks that it fits;
// not for [Release], whose key only [SignSums] reads. A key under a passphrase is
// [ErrEncrypted].
func LoadPrivate(role Role, path string) (crypto.Signer, error) {
	return LoadPrivateWith(role, path, nil)
}

// LoadPrivateWith is [LoadPrivate] for a key that may be under a passphrase.
func LoadPrivateWith(role Role, path string, ask Passphrase) (crypto.Signer, error) {
	data, err := ReadPrivateFile(path, ask)
	if err != nil {
		return nil, err
	}
	s, err := ParsePrivate(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := Check(role, s.Public()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// LoadPublic reads a public key of role from path, or from a certificate
// there, and checks that it fits.
func LoadPublic(role Role, path string) (crypto.PublicKey, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	k, err := ParsePublic(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := Check(role, k); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// LoadCertificate reads the certificate of role from path and checks that it
// fits.
func LoadCertificate(role Role, path string) (*x509.Certificate, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := ParseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := CheckCertificate(role, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
