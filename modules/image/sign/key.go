// Package sign makes the signatures of an image. The RSA signatures are values of
// openssl, so that a key may lie in a file or behind a PKCS#11 URI, or were made
// elsewhere (attest/offline). They depend on the key and on what is signed alone:
// each of the three ways gives the same bytes.
package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/modules/image/tool"
)

// ErrKey is wrapped by every error about a key or a certificate.
var ErrKey = errors.New("unusable key")

// maxFile bounds the size in bytes of a key or certificate file.
const maxFile = 1 << 20

// TryOut stands in the name of every certificate of keys made for trying things
// out. What they sign is marked, whatever the arguments say.
const TryOut = "TRY-OUT"

// Key names a private key: the path of a PEM file, a PKCS#11 URI, or a folder
// with signatures that a key elsewhere made.
type Key struct {
	name string // as openssl finds it
	// secret is what openssl finds in tool.SecretPath: the PIN of the URI, or a
	// key that was under a passphrase.
	secret    string
	elsewhere *offline.Signatures
}

// OpenKey finds the key that text names: a PKCS#11 URI, the path of a file which
// holds a key in PEM or the URI of one, or a folder of signatures. A URI with
// its PIN in it is refused as text: it stood in an argument. ask is asked for the
// passphrase of a key that has one.
func OpenKey(text string, ask keys.Passphrase) (Key, error) {
	if text == "" {
		return Key{}, fmt.Errorf("no key given: %w", ErrKey)
	}
	if strings.HasPrefix(text, scheme) {
		u, err := parseURI(text)
		if err != nil {
			return Key{}, err
		}
		if u.pin != "" {
			return Key{}, fmt.Errorf("the PIN stands in an argument, where others can read it: put the PKCS#11 URI into a file and name that, or write pin-source=file:/PATH: %w", ErrKey)
		}
		return Key{name: u.text}, nil
	}
	if st, err := os.Stat(text); err == nil && st.IsDir() {
		s, err := offline.Open(text)
		return Elsewhere(s), err
	}
	content, err := readSmall(text)
	if err != nil {
		return Key{}, err
	}
	if line := strings.TrimSpace(string(content)); strings.HasPrefix(line, scheme) {
		u, err := parseURI(line)
		if err != nil {
			return Key{}, fmt.Errorf("%s: %w", text, err)
		}
		return Key{name: u.text, secret: u.pin}, nil
	}
	if keys.Sealed(content) {
		opened, err := keys.ReadPrivateFile(text, ask)
		return Key{name: tool.SecretPath, secret: string(opened)}, err
	}
	if block, _ := pem.Decode(content); block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return Key{}, fmt.Errorf("%s holds neither a private key in PEM nor a PKCS#11 URI: %w", text, ErrKey)
	}
	return Key{name: text}, nil
}

// Elsewhere is a key that is not here: its signatures are those of the folder.
func Elsewhere(s *offline.Signatures) Key { return Key{elsewhere: s} }

// sign returns the signature that r asks for.
func (k Key) sign(ctx context.Context, r offline.Request) ([]byte, error) {
	if k.elsewhere != nil {
		return k.elsewhere.Find(r)
	}
	c := tool.Command{
		Name: "openssl", Args: []string{"dgst", "-sha256", "-sign", k.name},
		Stdin: bytes.NewReader(r.Message), Secret: k.secret,
	}
	provided := strings.HasPrefix(k.name, scheme)
	if provided {
		c.Args = append(c.Args, "-provider", "default", "-provider", "pkcs11")
	}
	signature, err := c.Run(ctx)
	switch {
	case err != nil && provided:
		return nil, fmt.Errorf("%w; is a p11-kit server at P11_KIT_SERVER_ADDRESS, does the URI name one private key there, is its PIN right?", err)
	case err != nil:
		return nil, err
	}
	if err := r.Verify(signature); err != nil {
		return nil, fmt.Errorf("private and public key do not belong together: %w: %w", ErrKey, err)
	}
	return signature, nil
}

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
	// What pem.Decode cannot read it passes over; others who read the file do not.
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || bytes.Count(text, []byte("-----BEGIN")) != 1 || strings.TrimSpace(string(rest)) != "" {
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

// ErrMixed reports an organisation's keys beside try-out ones: what both sign would pass
// for an organisation's, and anybody with the build machine could have made it.
var ErrMixed = errors.New("try-out keys beside others")

// AreTryOut tells whether certificates belong to keys made for trying out. Where only
// some of them do, the error wraps ErrMixed.
func AreTryOut(all ...*Certificate) (bool, error) {
	tryOut := false
	for i, c := range all {
		if i == 0 {
			tryOut = c.IsTryOut()
		} else if c.IsTryOut() != tryOut {
			return false, fmt.Errorf("%w: %q and %q; take all keys from one set", ErrMixed, all[0].Subject, c.Subject)
		}
	}
	return tryOut, nil
}

// IsTryOut tells whether the certificate belongs to keys made for trying out.
func (c *Certificate) IsTryOut() bool {
	return strings.Contains(c.Subject.String(), TryOut)
}
