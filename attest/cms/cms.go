// Package cms writes and verifies the two kinds of PKCS#7 signatures that a
// release has: the detached one over a root hash, as the kernel wants it, and
// the one in a PE image, as firmware wants it (Microsoft, Windows Authenticode
// Portable Executable Signature Format).
//
// When a signature is verified, the certificates inside it are ignored: only
// those that the caller trusts count. Digests other than SHA-256 are refused,
// and so are signatures with more than one signer.
package cms

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/smallstep/pkcs7"

	"github.com/mastercard/mangos/format/pe"
)

// maxSignature is the size in bytes of the largest signature that is read.
const maxSignature = 64 << 10

// Sentinels.
var (
	// ErrFormat: no signature of the wanted kind.
	ErrFormat = errors.New("malformed PKCS#7 signature")
	// ErrSignature: not by a trusted certificate, or over other bytes.
	ErrSignature = errors.New("signature does not verify")
	// ErrUnsigned: a PE image without signature.
	ErrUnsigned = errors.New("image is not signed")
)

var (
	oidSHA256   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidIndirect = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
)

// parse reads a signature by one signer.
func parse(der []byte) (p *pkcs7.PKCS7, err error) {
	if len(der) > maxSignature {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, len(der))
	}
	defer func() { // the library's BER reader is not made for hostile bytes
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("%w: %v", ErrFormat, r)
		}
	}()
	var whole asn1.RawValue // the library drops what follows
	if rest, err := asn1.Unmarshal(der, &whole); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow it: %v", ErrFormat, len(rest), err)
	}
	p, err = pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(p.Signers) != 1 {
		return nil, fmt.Errorf("%w: %d signers", ErrFormat, len(p.Signers))
	}
	if n := len(p.Signers[0].UnauthenticatedAttributes) + len(p.CRLs); n > 0 {
		return nil, fmt.Errorf("%w: %d attributes that are not signed, or revocation lists", ErrFormat, n)
	}
	if a := p.Signers[0].DigestAlgorithm.Algorithm; !a.Equal(oidSHA256) {
		return nil, fmt.Errorf("%w: digest algorithm %v is not SHA-256", ErrFormat, a)
	}
	return p, nil
}

// verify returns the certificate of trusted that made the signature.
func verify(p *pkcs7.PKCS7, trusted []*x509.Certificate) (*x509.Certificate, error) {
	err := errors.New("no certificate is trusted")
	for _, c := range trusted {
		p.Certificates = []*x509.Certificate{c}
		if err = p.Verify(); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrSignature, err)
}

// Detached verifies a detached signature over content without authenticated
// attributes and returns the trusted certificate that made it.
func Detached(der, content []byte, trusted []*x509.Certificate) (*x509.Certificate, error) {
	p, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("verify signature: %w", err)
	}
	if len(p.Content) > 0 {
		return nil, fmt.Errorf("verify signature: %w: it is not detached", ErrFormat)
	}
	if len(p.Signers[0].AuthenticatedAttributes) > 0 {
		return nil, fmt.Errorf("verify signature: %w: it has attributes, which the kernel does not read here", ErrFormat)
	}
	p.Content = content
	c, err := verify(p, trusted)
	if err != nil {
		return nil, fmt.Errorf("verify signature: %w", err)
	}
	return c, nil
}

// indirect is SpcIndirectDataContent without its outer tag.
type indirect struct {
	Data   asn1.RawValue
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
}

// Image verifies the signature in the PE image of size bytes in r and returns
// the trusted certificate that made it. There must be exactly one.
func Image(r io.ReaderAt, size int64, trusted []*x509.Certificate) (*x509.Certificate, error) {
	c, err := image(r, size, trusted)
	if err != nil {
		return nil, fmt.Errorf("verify PE signature: %w", err)
	}
	return c, nil
}

func image(r io.ReaderAt, size int64, trusted []*x509.Certificate) (*x509.Certificate, error) {
	f, err := pe.Open(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	der, err := entry(r, f, size)
	if err != nil {
		return nil, err
	}
	p, err := parse(der)
	if err != nil {
		return nil, err
	}
	c, err := verify(p, trusted)
	if err != nil {
		return nil, err
	}
	signed, err := signedDigest(p)
	if err != nil {
		return nil, err
	}
	got, err := Digest(r, f)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(signed, got[:]) {
		return nil, fmt.Errorf("%w: it is over an image with the digest %x, this one has %x", ErrSignature, signed, got)
	}
	return c, nil
}

// signedDigest takes the image's digest out of the signed content.
func signedDigest(p *pkcs7.PKCS7) ([]byte, error) {
	// The library drops the content's outer tag, as the message digest does.
	wrapped, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: p.Content})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var content indirect
	if rest, err := asn1.Unmarshal(wrapped, &content); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: it does not hold an image's digest: %v", ErrFormat, err)
	}
	var kind asn1.ObjectIdentifier
	if err := p.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &kind); err != nil || !kind.Equal(oidIndirect) {
		return nil, fmt.Errorf("%w: it is over content of type %v", ErrFormat, kind)
	}
	if !content.Digest.Algorithm.Algorithm.Equal(oidSHA256) {
		return nil, fmt.Errorf("%w: image digest algorithm %v", ErrFormat, content.Digest.Algorithm.Algorithm)
	}
	return content.Digest.Digest, nil
}

// entry returns the one PKCS#7 entry of the certificate table (WIN_CERTIFICATE
// of revision 2.0), which must end the file.
func entry(r io.ReaderAt, f *pe.File, size int64) ([]byte, error) {
	t := f.Certificates
	if t.Size == 0 {
		return nil, ErrUnsigned
	}
	if t.Size < 8 || t.Size > maxSignature || t.Offset+t.Size != size {
		return nil, fmt.Errorf("%w: certificate table of %d bytes at %d", ErrFormat, t.Size, t.Offset)
	}
	b := make([]byte, t.Size)
	if _, err := r.ReadAt(b, t.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	le := binary.LittleEndian
	length := int64(le.Uint32(b))
	if le.Uint16(b[4:]) != 0x0200 || le.Uint16(b[6:]) != 2 || length < 8 || length > t.Size || t.Size-length >= 8 {
		return nil, fmt.Errorf("%w: certificate table holds something else than one signature", ErrFormat)
	}
	var v asn1.RawValue
	padding, err := asn1.Unmarshal(b[8:], &v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(v.FullBytes) > int(length)-8 || len(padding) >= 8 || len(bytes.Trim(padding, "\x00")) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow it in the certificate table, want up to 7 zeros", ErrFormat, len(padding))
	}
	return v.FullBytes, nil
}

// checksumField is the offset of CheckSum from the optional header, and that
// of the optional header from "PE\0\0".
const checksumField, optionalHeader = 64, 24

// Digest is the SHA-256 that an Authenticode signature is over: the whole
// file but for the checksum, the entry of the certificate table in the header,
// and the table, which is at the end.
func Digest(r io.ReaderAt, f *pe.File) ([sha256.Size]byte, error) {
	if f.Directory.Size == 0 || f.Certificates.Size == 0 {
		return [sha256.Size]byte{}, ErrUnsigned
	}
	return digest(r, f)
}

func digest(r io.ReaderAt, f *pe.File) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	at := int64(0)
	checksum := f.Header.Offset + optionalHeader + checksumField
	for _, skip := range []pe.Part{{Offset: checksum, Size: 4}, f.Directory, f.Certificates} {
		if skip.Offset < at {
			return sum, fmt.Errorf("%w: certificate table within the header", ErrFormat)
		}
		n, err := io.Copy(h, io.NewSectionReader(r, at, skip.Offset-at))
		if err != nil {
			return sum, err
		}
		if n != skip.Offset-at {
			return sum, fmt.Errorf("%w: the image is cut off", ErrFormat)
		}
		at = skip.Offset + skip.Size
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
