package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// The validity of every certificate made here, and the creation date of the
// OpenPGP key (its beginning); see the package documentation. The end is the
// last second that UTCTime can express, which the oldest parsers read too.
var (
	notBefore = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)
)

// MaxCertificate is the size in bytes that the kernel reserves for the verity
// certificate, which must stay below it.
const MaxCertificate = 4096

// Certify returns the DER certificate of role for key, self-signed, with the
// given common name and organisations. The same key and names give the same
// bytes.
func Certify(role Role, key *rsa.PrivateKey, name string, organisations ...string) ([]byte, error) {
	if err := Check(role, key.Public()); err != nil {
		return nil, fmt.Errorf("certify: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("certify %s: %w", role, err)
	}
	id := sha256.Sum256(spki)
	id[0] &= 0x7f
	id[0] |= 0x40 // never zero, and always 16 bytes long
	subject := pkix.Name{CommonName: name, Organization: organisations}
	skid := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(id[:16]),
		Subject:               subject,
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		SubjectKeyId:          skid[:20],
		AuthorityKeyId:        skid[:20],
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	if role == SecureBoot {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certify %s: %w", role, err)
	}
	if role == Verity && len(der) >= MaxCertificate {
		return nil, fmt.Errorf("certify %s: the certificate has %d bytes, and the kernel reserves %d: shorten the organisation's name", role, len(der), MaxCertificate)
	}
	return der, nil
}

// CheckCertificate refuses a certificate that does not fit role: the limits
// of its key, and for verity its size and use.
func CheckCertificate(role Role, cert *x509.Certificate) error {
	if err := Check(role, crypto.PublicKey(cert.PublicKey)); err != nil {
		return err
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return fmt.Errorf("%w: %s certificate has a key usage without digitalSignature", ErrAlgorithm, role)
	}
	if role == Verity && len(cert.Raw) >= MaxCertificate {
		return fmt.Errorf("%w: %s certificate has %d bytes, and the kernel reserves %d", ErrAlgorithm, role, len(cert.Raw), MaxCertificate)
	}
	return nil
}
