package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/attest/internal/newfile"
)

// The marks of what was made for trying things out, and must never protect
// anything: TryOutMark stands in the name of every certificate and OpenPGP key,
// TryOutOrganisation among the organisations of every certificate. Whatever is
// signed with such a key is marked too, whether or not its maker says so.
const (
	TryOutMark         = "TRY-OUT"
	TryOutOrganisation = "mangos try-out, unfit for use"
)

// ErrExists says that a key file to be written is already there.
var ErrExists = errors.New("key file exists")

// Options say what [Generate] makes.
type Options struct {
	Roles        []Role       // which; nil means all
	Organisation string       // in the names; may be empty
	TryOut       bool         // put [TryOutMark] into the names
	Bits         map[Role]int // RSA sizes other than the role's default
	Passphrase   []byte       // if not empty, the private keys are sealed with it
}

// file is one key file before it is written.
type file struct {
	name string
	mode os.FileMode
	data []byte
}

// Generate makes a fresh key pair for each wanted role in dir, which it makes
// with mode 0700 if need be, and describes the public halves. It writes all
// files or none, and never over an existing one ([ErrExists]).
func Generate(dir string, o Options) ([]Info, error) {
	roles, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("generate keys: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("generate keys: %w", err)
	}
	var names []string
	for _, r := range roles {
		names = append(names, PrivateName(r), PublicName(r))
	}
	for _, n := range names {
		if _, err := os.Lstat(filepath.Join(dir, n)); err == nil {
			return nil, fmt.Errorf("generate keys: %w: %s: nothing was written; choose another folder or other roles", ErrExists, filepath.Join(dir, n))
		}
	}
	var files []file
	for _, r := range roles {
		pair, err := generate(r, o)
		if err != nil {
			return nil, fmt.Errorf("generate keys: %s: %w", r, err)
		}
		if len(o.Passphrase) > 0 {
			if pair[0].data, err = Seal(pair[0].data, o.Passphrase); err != nil {
				return nil, fmt.Errorf("generate keys: %s: %w", r, err)
			}
		}
		files = append(files, pair...)
	}
	if err := writeAll(dir, files); err != nil {
		return nil, fmt.Errorf("generate keys: %w", err)
	}
	var infos []Info
	for _, r := range roles {
		info, err := Describe(filepath.Join(dir, PublicName(r)))
		if err != nil {
			return nil, fmt.Errorf("generate keys: %w", err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// PrivateName is the file name of a role's private key.
func PrivateName(r Role) string { return string(r) + ".key" }

// PublicName is the file name of a role's public half: a certificate or key.
func PublicName(r Role) string {
	if r == SecureBoot || r == Verity {
		return string(r) + ".crt"
	}
	return string(r) + ".pub"
}

// check returns the wanted roles, each once, or says what is wrong with o.
func (o Options) check() ([]Role, error) {
	if err := checkName(o.Organisation); err != nil {
		return nil, err
	}
	roles := o.Roles
	if roles == nil {
		roles = Roles()
	}
	seen := map[Role]bool{}
	for _, r := range roles {
		if _, err := Limits(r); err != nil {
			return nil, err
		}
		if seen[r] {
			return nil, fmt.Errorf("role %s is named twice", r)
		}
		seen[r] = true
	}
	for r, bits := range o.Bits {
		l, err := Limits(r)
		if err != nil {
			return nil, err
		}
		if !seen[r] {
			return nil, fmt.Errorf("a size is given for role %s, which is not generated", r)
		}
		if err := checkBits(r, l, bits); err != nil {
			return nil, err
		}
	}
	return roles, nil
}

// checkName refuses an organisation's name that would be unclear in a
// certificate, an OpenPGP user id or a terminal.
func checkName(name string) error {
	if len(name) > 128 {
		return fmt.Errorf("organisation's name has %d bytes; at most 128", len(name))
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || strings.ContainsRune("()<>\"\\/", r) || r == '\uFFFD' {
			return fmt.Errorf("organisation's name %q holds a character that a certificate's name must not: %q", name, r)
		}
	}
	return nil
}

// subject is the common name of a role's key.
func (o Options) subject(r Role) string {
	parts := []string{o.Organisation, "mangos", string(r)}
	if o.Organisation == "" {
		parts = parts[1:]
	}
	if o.TryOut {
		parts = append([]string{TryOutMark}, parts...)
	}
	return strings.Join(parts, " ")
}

// generate makes one role's pair, the private key first.
func generate(r Role, o Options) ([]file, error) {
	if r == Release {
		return generateOpenPGP(o.subject(r))
	}
	if r == Attest {
		pub, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return pemPair(r, priv, pub)
	}
	bits := limits[r].Bits[0]
	if b, ok := o.Bits[r]; ok {
		bits = b
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	if r == PCR {
		return pemPair(r, key, key.Public())
	}
	var organisations []string
	if o.Organisation != "" {
		organisations = append(organisations, o.Organisation)
	}
	if o.TryOut {
		organisations = append(organisations, TryOutOrganisation)
	}
	der, err := Certify(r, key, o.subject(r), organisations...)
	if err != nil {
		return nil, err
	}
	return certificatePair(r, key, der)
}

// pemPair encodes a private key and its SPKI public key.
func pemPair(r Role, priv crypto.PrivateKey, pub crypto.PublicKey) ([]file, error) {
	private, err := EncodePrivate(priv)
	if err != nil {
		return nil, err
	}
	public, err := EncodePublic(pub)
	if err != nil {
		return nil, err
	}
	return []file{{PrivateName(r), 0o600, private}, {PublicName(r), 0o644, public}}, nil
}

// certificatePair encodes a private key and its certificate.
func certificatePair(r Role, priv crypto.PrivateKey, der []byte) ([]file, error) {
	private, err := EncodePrivate(priv)
	if err != nil {
		return nil, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return []file{{PrivateName(r), 0o600, private}, {PublicName(r), 0o644, public}}, nil
}

// EncodePrivate returns priv as PEM "PRIVATE KEY" (PKCS#8).
func EncodePrivate(priv crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// EncodePublic returns pub as PEM "PUBLIC KEY" (SubjectPublicKeyInfo).
func EncodePublic(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// writeAll writes every file, or leaves none behind.
func writeAll(dir string, files []file) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for _, name := range made {
				os.Remove(name)
			}
		}
	}()
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := writeNew(path, f.mode, f.data); err != nil {
			return err
		}
		made = append(made, path)
	}
	return nil
}

// writeNew writes one new file; an existing one is [ErrExists].
func writeNew(path string, mode os.FileMode, data []byte) error {
	err := newfile.Write(path, mode, data)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	return err
}
