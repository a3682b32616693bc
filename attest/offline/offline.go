// Package offline moves signing to another machine: what is to be signed is
// exported into files, signed there by whatever holds the key, and the
// signatures that come back are found again by what they are over.
//
// A request's name is its role and the SHA-256 of the bytes to sign. NAME.tbs
// holds exactly these bytes, NAME.sig the signature over them:
//
//	secure-boot, verity, pcr   RSASSA-PKCS1-v1_5 with SHA-256, the value alone
//	attest                     Ed25519, the value alone
//	release                    a detached OpenPGP signature, binary
//
// Nothing in the folder that comes back is trusted: a signature is verified with
// the public key, which its user has from elsewhere, before it is used. All but
// the OpenPGP signature are deterministic, so what is made with them is, byte
// for byte, what a key at hand would have made.
package offline

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/attest/keys"
)

// Sentinels.
var (
	// ErrMissing: there is no signature for a request yet.
	ErrMissing = errors.New("signature is missing")
	// ErrSignature: the signature is not the key's over the request.
	ErrSignature = errors.New("signature does not verify")
)

// The ends of the names of a request's and its signature's file.
const (
	RequestSuffix   = ".tbs"
	SignatureSuffix = ".sig"
)

// ListName is the file that says to people what is to be signed, and how.
const ListName = "digests.txt"

// maxSignature is the size in bytes of the largest signature.
const maxSignature = 64 << 10

// Request is a message that the key of a role shall sign.
type Request struct {
	Role keys.Role
	// What says to people what the message is.
	What    string
	Message []byte
	// key names the public key to people, sign is the command to make the
	// signature with, verify checks one.
	key, sign string
	verify    func(signature []byte) error
}

// New is a request for a signature by the key with this public half.
func New(role keys.Role, what string, message []byte, public crypto.PublicKey) (Request, error) {
	r := Request{Role: role, What: what, Message: message}
	fingerprint, _, err := keys.Fingerprint(role, public)
	if err != nil {
		return r, fmt.Errorf("request %s: %w", what, err)
	}
	r.key = fingerprint
	switch k := public.(type) {
	case *rsa.PublicKey:
		r.sign = "openssl dgst -sha256 -sign %[1]s.key -out %[2]s %[3]s"
		r.verify = func(signature []byte) error {
			sum := sha256.Sum256(message)
			return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature)
		}
	case ed25519.PublicKey:
		r.sign = "openssl pkeyutl -sign -rawin -inkey %[1]s.key -in %[3]s -out %[2]s"
		r.verify = func(signature []byte) error {
			if !ed25519.Verify(k, message, signature) {
				return errors.New("ed25519: verification error")
			}
			return nil
		}
	default:
		return r, fmt.Errorf("request %s: %w: %T", what, keys.ErrAlgorithm, public)
	}
	return r, nil
}

// NewRelease is a request for the signature of SHA256SUMS. public is the content
// of release.pub.
func NewRelease(sums, public []byte) (Request, error) {
	r := Request{
		Role: keys.Release, What: "SHA256SUMS", Message: sums,
		sign: "gpg --local-user %[4]s --detach-sign --output %[2]s %[3]s",
		verify: func(signature []byte) error {
			if bytes.HasPrefix(signature, []byte("-----BEGIN")) {
				return errors.New("it is in ASCII armour, which updates do not read: sign without --armor")
			}
			return keys.VerifySums(public, signature, bytes.NewReader(sums))
		},
	}
	var err error
	if r.key, err = keys.ReleaseFingerprint(public); err != nil {
		return r, fmt.Errorf("request SHA256SUMS: %w", err)
	}
	return r, nil
}

// Name identifies the request by its content.
func (r Request) Name() string {
	sum := sha256.Sum256(r.Message)
	return string(r.Role) + "-" + hex.EncodeToString(sum[:])
}

// Verify checks a signature of the request.
func (r Request) Verify(signature []byte) error {
	if err := r.verify(signature); err != nil {
		return fmt.Errorf("%s by the %s key %.16s: %w: %w", r.What, r.Role, r.key, ErrSignature, err)
	}
	return nil
}

// Signatures is a folder with signatures that were made elsewhere. It notes the
// requests that have none. It is not safe for concurrent use.
type Signatures struct {
	dir     string
	missing []Request
}

// Open opens a folder of signatures. An empty name is a folder without any.
func Open(dir string) (*Signatures, error) {
	if dir != "" {
		if st, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("open signatures: %w", err)
		} else if !st.IsDir() {
			return nil, fmt.Errorf("open signatures: %s is no folder", dir)
		}
	}
	return &Signatures{dir: dir}, nil
}

// Find returns the verified signature of a request. Without one the error wraps
// [ErrMissing], and the request is one of those that Missing returns.
func (s *Signatures) Find(r Request) ([]byte, error) {
	if s.dir == "" {
		return nil, s.miss(r)
	}
	path := filepath.Join(s.dir, r.Name()+SignatureSuffix)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, s.miss(r)
	}
	if err != nil {
		return nil, fmt.Errorf("signature of %s: %w", r.What, err)
	}
	defer f.Close()
	signature, err := io.ReadAll(io.LimitReader(f, maxSignature+1))
	if err != nil {
		return nil, fmt.Errorf("signature of %s: %w", r.What, err)
	}
	if len(signature) > maxSignature {
		return nil, fmt.Errorf("signature of %s: %s: %w: more than %d bytes", r.What, path, ErrSignature, maxSignature)
	}
	if err := r.Verify(signature); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return signature, nil
}

func (s *Signatures) miss(r Request) error {
	s.missing = append(s.missing, r)
	return fmt.Errorf("%s: %w: export the digests, sign %s with the %s key, and put %s into the folder of signatures",
		r.What, ErrMissing, r.Name()+RequestSuffix, r.Role, r.Name()+SignatureSuffix)
}

// Collect notes an error that wraps [ErrMissing] in missing and returns nil, and
// any other error as it is: all that is to be signed elsewhere is asked for at
// once.
func Collect(missing *error, err error) error {
	if err != nil && !errors.Is(err, ErrMissing) {
		return err
	}
	*missing = errors.Join(*missing, err)
	return nil
}

// Missing returns the requests that had no signature, in the order in which they
// were looked for.
func (s *Signatures) Missing() []Request { return s.missing }

// Signer returns a signer whose signatures are those of the folder. Like an
// Ed25519 key it signs the message itself, which what names to people.
func (s *Signatures) Signer(role keys.Role, what string, public ed25519.PublicKey) crypto.Signer {
	return &signer{s, role, what, public}
}

type signer struct {
	signatures *Signatures
	role       keys.Role
	what       string
	public     ed25519.PublicKey
}

func (s *signer) Public() crypto.PublicKey { return s.public }

func (s *signer) Sign(_ io.Reader, message []byte, o crypto.SignerOpts) ([]byte, error) {
	if h := o.HashFunc(); h != 0 {
		return nil, fmt.Errorf("offline signer: %w: asked for a signature over %v", keys.ErrAlgorithm, h)
	}
	r, err := New(s.role, s.what, message, s.public)
	if err != nil {
		return nil, err
	}
	return s.signatures.Find(r)
}

// Export writes the requests into dir, which it makes if need be, and the list
// of them last. A request that is there already is the same one.
func Export(dir string, requests []Request) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("export digests: %w", err)
	}
	for _, r := range requests {
		if err := os.WriteFile(filepath.Join(dir, r.Name()+RequestSuffix), r.Message, 0o644); err != nil {
			return fmt.Errorf("export digests: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ListName), []byte(List(requests)), 0o644); err != nil {
		return fmt.Errorf("export digests: %w", err)
	}
	return nil
}

const listHead = `What is to be signed. The name of each file is the SHA-256 of its content: compare
it on the machine that signs (sha256sum *.tbs). A key that is not a file there is
named to openssl as its provider wants it.
`

// List says to people what is to be signed, and how.
func List(requests []Request) string {
	var b strings.Builder
	b.WriteString(listHead)
	if len(requests) == 0 {
		b.WriteString("\nNothing: every signature is there.\n")
	}
	for _, r := range requests {
		name := r.Name()
		command := fmt.Sprintf(r.sign, r.Role, name+SignatureSuffix, name+RequestSuffix, r.key)
		fmt.Fprintf(&b, "\n%s\n  %d bytes, by the %s key %s\n  %s\n", printable(r.What), len(r.Message), r.Role, r.key, command)
	}
	return b.String()
}

// printable keeps a name that came from elsewhere on its line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}
