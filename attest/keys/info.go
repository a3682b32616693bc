package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Info describes one key file without its secrets.
type Info struct {
	File string `json:"file"`
	// Role is told by the file's name, and empty where it tells none.
	Role Role `json:"role,omitempty"`
	// Kind is "certificate", "public key", "private key" or the OpenPGP twins. Of
	// a PEM key under a passphrase nothing else is known.
	Kind      string `json:"kind"`
	Algorithm string `json:"algorithm,omitempty"`
	// Subject is the certificate's subject or the OpenPGP user id.
	Subject string `json:"subject,omitempty"`
	// Fingerprint identifies the key in this project; FingerprintOf says of
	// what: see [Fingerprint].
	Fingerprint   string `json:"fingerprint,omitempty"`
	FingerprintOf string `json:"fingerprintOf,omitempty"`
	// Expires is the end of a certificate's validity, RFC 3339.
	Expires string `json:"expires,omitempty"`
	// TryOut says that the name bears [TryOutMark].
	TryOut bool `json:"tryOut,omitempty"`
}

// What a fingerprint is made of.
const (
	OfCertificate = "sha256 of the DER certificate"
	OfPKCS1       = "sha256 of the PKCS#1 DER public key (pkfp of .pcrsig)"
	OfSPKI        = "sha256 of the SPKI DER public key"
	OfOpenPGP     = "OpenPGP version 4 fingerprint"
)

// KeyID is the lower-case hexadecimal SHA-256 of a key's SPKI DER. Votes are
// counted by it: it is made from the key's bytes, not from anyone's label.
func KeyID(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("key id: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// Fingerprint is what names a public key of role, and of what it is made: for
// pcr what .pcrsig calls pkfp, for the others [KeyID].
func Fingerprint(role Role, pub crypto.PublicKey) (fingerprint, of string, err error) {
	if k, ok := pub.(*rsa.PublicKey); ok && role == PCR {
		sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(k))
		return hex.EncodeToString(sum[:]), OfPKCS1, nil
	}
	id, err := KeyID(pub)
	return id, OfSPKI, err
}

// CertificateFingerprint is the SHA-256 of a certificate's DER bytes, as the
// verity signature's JSON gives it.
func CertificateFingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Describe reads the key file at path, of any kind, and describes it. A file
// named for a role must fit that role.
func Describe(path string) (Info, error) {
	data, err := ReadFile(path)
	if err != nil {
		return Info{}, err
	}
	info := Info{File: path, Role: roleOf(path)}
	switch {
	case isOpenPGP(data):
		err = info.openPGP(data)
	case bytes.Contains(data, []byte("-----BEGIN CERTIFICATE-----")):
		err = info.certificate(data)
	case bytes.Contains(data, []byte("-----BEGIN PUBLIC KEY-----")):
		err = info.public(data)
	case Sealed(data):
		info.Kind = "private key under a passphrase"
	default:
		err = info.private(data)
	}
	if err != nil {
		return Info{}, fmt.Errorf("describe %s: %w", path, err)
	}
	return info, nil
}

// DescribeDir describes every key file of dir that has a role's name, in the
// order of [Roles], private before public.
func DescribeDir(dir string) ([]Info, error) {
	var infos []Info
	for _, r := range Roles() {
		for _, name := range []string{PrivateName(r), PublicName(r)} {
			path := filepath.Join(dir, name)
			if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
				continue
			}
			info, err := Describe(path)
			if err != nil {
				return nil, err
			}
			infos = append(infos, info)
		}
	}
	if len(infos) == 0 {
		return nil, fmt.Errorf("describe keys: no key file in %s", dir)
	}
	return infos, nil
}

func (i *Info) openPGP(data []byte) error {
	e, err := readOpenPGP(data)
	if err != nil {
		return err
	}
	if i.Role != "" && i.Role != Release {
		return fmt.Errorf("%w: %s is no OpenPGP key", ErrAlgorithm, i.Role)
	}
	i.Kind = "OpenPGP public key"
	if e.PrivateKey != nil {
		i.Kind = "OpenPGP private key"
		if e.PrivateKey.Encrypted {
			i.Kind += " under a passphrase"
		}
	}
	i.Algorithm = "Ed25519"
	names := make([]string, 0, len(e.Identities))
	for name := range e.Identities {
		names = append(names, name)
	}
	sort.Strings(names)
	i.name(strings.Join(names, ", "))
	i.Fingerprint, i.FingerprintOf = hex.EncodeToString(e.PrimaryKey.Fingerprint), OfOpenPGP
	return nil
}

func (i *Info) certificate(data []byte) error {
	c, err := ParseCertificate(data)
	if err != nil {
		return err
	}
	if i.Role != "" {
		if err := CheckCertificate(i.Role, c); err != nil {
			return err
		}
	}
	i.Kind, i.Algorithm = "certificate", algorithmOf(c.PublicKey)
	i.name(c.Subject.String())
	i.Expires = c.NotAfter.UTC().Format("2006-01-02T15:04:05Z")
	i.Fingerprint, i.FingerprintOf = CertificateFingerprint(c), OfCertificate
	return nil
}

func (i *Info) public(data []byte) error {
	k, err := ParsePublic(data)
	if err != nil {
		return err
	}
	i.Kind = "public key"
	return i.key(k)
}

func (i *Info) private(data []byte) error {
	s, err := ParsePrivate(data)
	if err != nil {
		return err
	}
	i.Kind = "private key"
	return i.key(s.Public())
}

// key fills in what a bare key tells.
func (i *Info) key(k crypto.PublicKey) error {
	if i.Role != "" {
		if err := Check(i.Role, k); err != nil {
			return err
		}
	}
	i.Algorithm = algorithmOf(k)
	var err error
	i.Fingerprint, i.FingerprintOf, err = Fingerprint(i.Role, k)
	return err
}

// name sets the subject and what it tells.
func (i *Info) name(subject string) {
	i.Subject, i.TryOut = subject, strings.Contains(subject, TryOutMark)
}

// roleOf is the role that a file's name tells, or empty.
func roleOf(path string) Role {
	base := filepath.Base(path)
	for _, r := range Roles() {
		if base == PrivateName(r) || base == PublicName(r) {
			return r
		}
	}
	return ""
}

func algorithmOf(k crypto.PublicKey) string {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("%T", k)
}
