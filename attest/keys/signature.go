package keys

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxSignature is the size in bytes of the largest signature of SHA256SUMS that is read.
const maxSignature = 4 << 10

// errForm: not what [VerifySums] takes for a signature.
var errForm = errors.New("not one binary OpenPGP signature and nothing else")

// VerifySums checks the detached signature over data with the public key of
// release.pub, at any time: a device's clock proves nothing, and the key does not
// expire.
//
// A signature has one form only, whatever readers of OpenPGP make of others: one
// packet of version 4 in binary, with its length said as shortly as it can be, its
// numbers too, and nothing behind it. Beside what is signed it says who signed, where
// that is not among what is signed, and the beginning of the hash, which is right.
func VerifySums(public, signature []byte, data io.Reader) error {
	_, err := VerifySumsByAny([][]byte{public}, signature, data)
	return err
}

// VerifySumsByAny is [VerifySums] with several public keys, of which one has signed. It
// returns the fingerprint of that one, in upper-case hexadecimal. A key that cannot be
// read is an error.
func VerifySumsByAny(public [][]byte, signature []byte, data io.Reader) (string, error) {
	var ring openpgp.EntityList
	for _, text := range public {
		e, err := readOpenPGP(text)
		if err != nil {
			return "", fmt.Errorf("verify sums: %w", err)
		}
		ring = append(ring, e)
	}
	signer, err := verifySignature(ring, signature, data)
	if err != nil {
		return "", fmt.Errorf("verify sums: %w", err)
	}
	return strings.ToUpper(hex.EncodeToString(signer.PrimaryKey.Fingerprint)), nil
}

func verifySignature(ring openpgp.EntityList, signature []byte, data io.Reader) (*openpgp.Entity, error) {
	sig, err := parseSignature(signature)
	if err != nil {
		return nil, err
	}
	h, err := sig.PrepareVerify()
	if err != nil {
		return nil, err
	}
	config := &packet.Config{Time: func() time.Time { return sig.CreationTime }}
	_, signer, err := openpgp.VerifyDetachedSignature(ring, io.TeeReader(data, h), bytes.NewReader(signature), config)
	if err != nil {
		return nil, err
	}
	// The library does not look at these two bytes; GnuPG does.
	if err := packet.VerifyHashTag(h, sig); err != nil {
		return nil, fmt.Errorf("%w: the beginning of the hash: %w", errForm, err)
	}
	return signer, nil
}

// parseSignature reads a signature in the form that [VerifySums] takes.
func parseSignature(file []byte) (*packet.Signature, error) {
	if len(file) > maxSignature {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d are read", errForm, len(file), maxSignature)
	}
	body, err := soleSignature(file)
	if err != nil {
		return nil, err
	}
	f := fields{rest: body}
	head := f.take(4) // version, type, algorithm, hash
	hashed, unhashed := f.sized(), f.sized()
	f.take(2) // the beginning of the hash
	switch {
	case f.short:
		return nil, fmt.Errorf("%w: it is cut off", errForm)
	case head[0] != 4 || packet.SignatureType(head[1]) != packet.SigTypeBinary:
		return nil, fmt.Errorf("%w: version %d and type %d, not version 4 over bytes", errForm, head[0], head[1])
	case !f.value(packet.PublicKeyAlgorithm(head[2])):
		return nil, fmt.Errorf("%w: its value is not one of Ed25519 (algorithm %d) in its shortest form", errForm, head[2])
	}
	if err := checkSubpackets(hashed, unhashed); err != nil {
		return nil, err
	}
	p, err := packet.Read(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errForm, err)
	}
	sig, ok := p.(*packet.Signature)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: it is a %T", errForm, p)
	case !slices.Contains([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}, sig.Hash):
		return nil, fmt.Errorf("%w: made with the hash %s", errForm, sig.Hash)
	case sig.SigLifetimeSecs != nil:
		return nil, fmt.Errorf("%w: it expires", errForm)
	}
	return sig, nil
}

// checkSubpackets makes sure that what is beside the signed subpackets is nothing, or,
// where none of these is the id of the key that signed, that id: GnuPG has it there.
func checkSubpackets(hashed, unhashed []byte) error {
	const issuer, size = 16, 9
	said := false
	for f := (fields{rest: hashed}); len(f.rest) > 0; {
		n := f.take(1)[0]
		p := f.take(int(n))
		if n == 0 || n >= 192 || f.short {
			return fmt.Errorf("%w: a subpacket of %d bytes", errForm, n)
		}
		said = said || p[0]&0x7f == issuer
	}
	alone := len(unhashed) == 1+size && unhashed[0] == size && unhashed[1] == issuer
	if said && len(unhashed) > 0 || !said && !alone {
		return fmt.Errorf("%w: beside what is signed it says %x", errForm, unhashed[:min(len(unhashed), 32)])
	}
	return nil
}

// soleSignature returns the body of a file that is one signature packet.
func soleSignature(file []byte) ([]byte, error) {
	for size := 2; size <= 3 && size < len(file); size++ {
		for _, header := range lengths(len(file) - size) {
			if bytes.Equal(header, file[:size]) {
				return file[size:], nil
			}
		}
	}
	return nil, fmt.Errorf("%w: its first bytes (%x) are not those of a signature of %d bytes", errForm, file[:min(3, len(file))], len(file))
}

// lengths are the shortest headers of a signature packet whose body has n bytes: the
// one that we write, and the older one that GnuPG writes.
func lengths(n int) [][]byte {
	const current, older = 0xC2, 0x88 // packet type 2
	var list [][]byte
	if n < 192 {
		list = append(list, []byte{current, byte(n)})
	} else {
		list = append(list, []byte{current, byte((n-192)>>8) + 192, byte(n - 192)})
	}
	if n < 256 {
		return append(list, []byte{older, byte(n)})
	}
	return append(list, []byte{older | 1, byte(n >> 8), byte(n)})
}

// fields takes a packet's body apart. Once it was too short, there is nothing more.
type fields struct {
	rest  []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if f.short = f.short || n > len(f.rest); f.short {
		return nil
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

// number takes one of two bytes.
func (f *fields) number() int {
	b := f.take(2)
	if f.short {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

// sized takes what its length stands before.
func (f *fields) sized() []byte { return f.take(f.number()) }

// value takes the rest, and tells whether it is a value of this algorithm.
func (f *fields) value(a packet.PublicKeyAlgorithm) bool {
	switch a {
	case packet.PubKeyAlgoEdDSA:
		r, s := f.integer(), f.integer()
		return r && s && len(f.rest) == 0
	case packet.PubKeyAlgoEd25519:
		f.take(64)
		return !f.short && len(f.rest) == 0
	}
	return false
}

// integer takes an integer of up to 32 bytes, and tells whether it has as many bits as
// it says.
func (f *fields) integer() bool {
	n := f.number()
	b := f.take((n + 7) / 8)
	return len(b) > 0 && len(b) <= 32 && 8*(len(b)-1)+bits.Len8(b[0]) == n
}
