package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/mastercard/mangos/attest/strictjson"
)

// The PEM types of cosign's encrypted keys; the second one is what its first
// versions wrote.
const (
	sealedType    = "ENCRYPTED SIGSTORE PRIVATE KEY"
	oldSealedType = "ENCRYPTED COSIGN PRIVATE KEY"
)

// Sentinels of sealed keys.
var (
	// ErrPassphrase: the passphrase does not open the key, or there is none.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrSealed: the key to seal is under a passphrase already.
	ErrSealed = errors.New("private key is encrypted already")
)

// sealedKey is the JSON text in a sealed key's PEM block.
type sealedKey struct {
	KDF struct {
		Name   string `json:"name"`
		Params struct {
			N int `json:"N"`
			R int `json:"r"`
			P int `json:"p"`
		} `json:"params"`
		Salt []byte `json:"salt"`
	} `json:"kdf"`
	Cipher struct {
		Name  string `json:"name"`
		Nonce []byte `json:"nonce"`
	} `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

// Sealed tells whether the content of a private key's file is under a
// passphrase of the kinds that [Open] takes.
func Sealed(data []byte) bool {
	if b, err := block(data); err == nil && (b.Type == sealedType || b.Type == oldSealedType) {
		return true
	}
	e, err := readOpenPGP(data)
	return err == nil && e.PrivateKey != nil && e.PrivateKey.Encrypted
}

// Seal puts the content of a private key's file under a passphrase: a PEM key in
// cosign's format (scrypt and NaCl's secretbox), an OpenPGP key in OpenPGP's.
// What was there besides the key is not kept.
func Seal(data, passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("encrypt key: %w: it is empty", ErrPassphrase)
	}
	if Sealed(data) {
		return nil, fmt.Errorf("encrypt key: %w", ErrSealed)
	}
	if isOpenPGP(data) {
		return convertOpenPGP(data, func(e *openpgp.Entity) error { return e.EncryptPrivateKeys(passphrase, nil) })
	}
	key, err := ParsePrivate(data)
	if err != nil {
		return nil, fmt.Errorf("encrypt key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt key: %w", err)
	}
	text, err := encrypted.Encrypt(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypt key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: text}), nil
}

// Open takes the passphrase off the content of a private key's file, and returns
// what [Seal] was given: PEM "PRIVATE KEY", or an armored OpenPGP key.
func Open(data, passphrase []byte) ([]byte, error) {
	if isOpenPGP(data) {
		return convertOpenPGP(data, func(e *openpgp.Entity) error {
			if err := e.DecryptPrivateKeys(passphrase); err != nil {
				return fmt.Errorf("%w: %w", ErrPassphrase, err)
			}
			return nil
		})
	}
	key, err := openPEM(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("decrypt key: %w", err)
	}
	return EncodePrivate(key)
}

// openPEM decrypts a key in cosign's format.
func openPEM(data, passphrase []byte) (crypto.Signer, error) {
	b, err := block(data)
	if err != nil {
		return nil, err
	}
	if b.Type != sealedType && b.Type != oldSealedType {
		return nil, fmt.Errorf("%w: PEM type %q is no encrypted key of cosign's", ErrFormat, b.Type)
	}
	// The library decides by these fields how much memory it takes, and reads
	// JSON as encoding/json does.
	var s sealedKey
	if err := strictjson.UnmarshalKnown(b.Bytes, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if n := s.KDF.Params.N; s.KDF.Name != "scrypt" || s.Cipher.Name != "nacl/secretbox" || n < 1<<15 || n > 1<<17 {
		return nil, fmt.Errorf("%w: encrypted by %.20q with N = %d and %.20q", ErrFormat, s.KDF.Name, n, s.Cipher.Name)
	}
	der, err := encrypted.Decrypt(b.Bytes, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPassphrase, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a %T cannot sign", ErrFormat, key)
	}
	return signer, nil
}

func isOpenPGP(data []byte) bool { return bytes.HasPrefix(data, []byte("-----BEGIN PGP ")) }

// convertOpenPGP changes how the private key in an armored file is protected.
func convertOpenPGP(data []byte, change func(*openpgp.Entity) error) ([]byte, error) {
	e, err := readOpenPGP(data)
	if err != nil {
		return nil, fmt.Errorf("convert key: %w", err)
	}
	if e.PrivateKey == nil {
		return nil, fmt.Errorf("convert key: %w: the file holds a public key only", ErrFormat)
	}
	if err := change(e); err != nil {
		return nil, fmt.Errorf("convert key: %w", err)
	}
	return armored(openpgp.PrivateKeyType, func(w io.Writer) error { return e.SerializePrivateWithoutSigning(w, nil) })
}

// Passphrase returns the passphrase of the key file at path. It is asked only
// for a key that has one.
type Passphrase func(path string) ([]byte, error)

// ReadPrivateFile reads the content of a private key's file and takes the
// passphrase off it, if it has one.
func ReadPrivateFile(path string, ask Passphrase) ([]byte, error) {
	data, err := ReadFile(path)
	if err != nil || !Sealed(data) {
		return data, err
	}
	if ask == nil {
		return nil, fmt.Errorf("%s: %w", path, ErrEncrypted)
	}
	passphrase, err := ask(path)
	if err != nil {
		return nil, err
	}
	if data, err = Open(data, passphrase); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Convert writes what change makes of the private key's file at from to a new
// file at to, with mode 0600. An existing one is [ErrExists].
func Convert(from, to string, change func(data []byte) ([]byte, error)) error {
	data, err := ReadFile(from)
	if err != nil {
		return err
	}
	if data, err = change(data); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return writeNew(to, 0o600, data)
}
