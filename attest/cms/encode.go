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
	"math/big"

	"github.com/mastercard/mangos/format/pe"
)

// The signatures written here hold nothing of their own: no time, no random
// value. With the signature value of an RSA key (RSASSA-PKCS1-v1_5 with
// SHA-256), which is deterministic, they are always the same bytes, and it does
// not matter where that value was made.

// ErrSigned: the image to sign has a signature already.
var ErrSigned = errors.New("image is signed already")

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidPEImageData   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
)

// imageData is the SpcPeImageData of every signature: no flags, and the link
// that the specification prescribes, "<<<Obsolete>>>" in UTF-16.
var imageData = []byte("\x30\x25\x03\x01\x00\xa0\x20\xa2\x1e\x80\x1c" +
	"\x00<\x00<\x00<\x00O\x00b\x00s\x00o\x00l\x00e\x00t\x00e\x00>\x00>\x00>")

var null = asn1.RawValue{Tag: asn1.TagNull}

func algorithm(oid asn1.ObjectIdentifier) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: null}
}

// The types of RFC 2315 that encoding/asn1 needs.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"optional"`
	}
	signedData struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      contentInfo
		Certificates asn1.RawValue `asn1:"optional"`
		Signers      []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version    int
		Issuer     issuerAndSerial
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue `asn1:"optional"`
		Encryption pkix.AlgorithmIdentifier
		Signature  []byte
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values []any `asn1:"set"`
	}
)

// encode wraps a signature value by cert's key into SignedData. attributes is
// the body of the signed attributes, certificates that of the certificates.
func encode(content contentInfo, cert *x509.Certificate, attributes, certificates, signature []byte) ([]byte, error) {
	data := signedData{
		Version: 1, Digests: []pkix.AlgorithmIdentifier{algorithm(oidSHA256)}, Content: content,
		Signers: []signerInfo{{
			Version: 1, Issuer: issuerAndSerial{asn1.RawValue{FullBytes: cert.RawIssuer}, cert.SerialNumber},
			Digest: algorithm(oidSHA256), Encryption: algorithm(oidRSA), Signature: signature,
		}},
	}
	if certificates != nil {
		data.Certificates = tagged(certificates)
	}
	if attributes != nil {
		data.Signers[0].Attributes = tagged(attributes)
	}
	der, err := asn1.Marshal(data)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(contentInfo{oidSignedData, tagged(der)})
}

// tagged puts a body behind the context-specific tag 0.
func tagged(body []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: body}
}

// EncodeDetached returns the detached signature over content, without
// attributes and certificates, that [Detached] reads: what the kernel wants of
// a root hash. signature is the value of cert's key over content itself.
func EncodeDetached(content []byte, cert *x509.Certificate, signature []byte) ([]byte, error) {
	der, err := encode(contentInfo{Type: oidData}, cert, nil, nil, signature)
	if err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	if _, err := Detached(der, content, []*x509.Certificate{cert}); err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	return der, nil
}

// Program is a PE image that is about to be signed.
type Program struct {
	data       []byte // padded, with its checksum and directory entry as they were
	file       *pe.File
	content    []byte // SpcIndirectDataContent
	attributes []byte // the signed attributes, without outer tag
}

// NewProgram prepares an image for its signature. It keeps image.
func NewProgram(image []byte) (*Program, error) {
	f, err := pe.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, fmt.Errorf("sign PE image: %w: %w", ErrFormat, err)
	}
	switch {
	case f.Certificates.Size > 0:
		return nil, fmt.Errorf("sign PE image: %w", ErrSigned)
	case f.Directory.Size == 0 || int64(len(image)) > maxImage:
		return nil, fmt.Errorf("sign PE image: %w: no place for a signature", ErrFormat)
	}
	p := &Program{data: append(image[:len(image):len(image)], make([]byte, -len(image)&7)...), file: f}
	// With an empty certificate table at its end the image is what its
	// signature is over.
	f.Certificates = pe.Part{Offset: int64(len(p.data))}
	sum, err := digest(bytes.NewReader(p.data), f)
	if err != nil {
		return nil, fmt.Errorf("sign PE image: %w", err)
	}
	if err := p.describe(sum); err != nil {
		return nil, fmt.Errorf("sign PE image: %w", err)
	}
	return p, nil
}

// maxImage is the size in bytes of the largest image; a certificate table
// beyond could not be pointed at.
const maxImage = 1 << 31

// describe encodes what is said of the image with this digest.
func (p *Program) describe(sum [sha256.Size]byte) error {
	type spcData struct {
		Type asn1.ObjectIdentifier
		Data asn1.RawValue
	}
	content, err := asn1.Marshal(struct {
		Data   spcData
		Digest struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
	}{spcData{oidPEImageData, asn1.RawValue{FullBytes: imageData}}, struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{algorithm(oidSHA256), sum[:]}})
	if err != nil {
		return err
	}
	var body asn1.RawValue
	if _, err := asn1.Unmarshal(content, &body); err != nil {
		return err
	}
	message := sha256.Sum256(body.Bytes) // without the outer tag
	for _, a := range []attribute{{oidContentType, []any{oidIndirect}}, {oidMessageDigest, []any{message[:]}}} {
		der, err := asn1.Marshal(a)
		if err != nil {
			return err
		}
		p.attributes = append(p.attributes, der...)
	}
	p.content = content
	return nil
}

// Message is what the key signs: the DER form of the signed attributes, which
// hold the image's digest.
func (p *Program) Message() ([]byte, error) {
	// They are signed as a SET, whatever their tag in the signature.
	return asn1.Marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: p.attributes})
}

// Sign returns the image with cert's signature, which firmware and [Image]
// verify. signature is the value of cert's key over Message.
func (p *Program) Sign(cert *x509.Certificate, signature []byte) ([]byte, error) {
	der, err := encode(contentInfo{oidIndirect, tagged(p.content)}, cert, p.attributes, cert.Raw, signature)
	if err != nil {
		return nil, fmt.Errorf("sign PE image: %w", err)
	}
	table := make([]byte, 8, 8+len(der)+7)
	le := binary.LittleEndian
	table = append(append(table, der...), make([]byte, -len(der)&7)...)
	le.PutUint32(table, uint32(len(table)))
	le.PutUint16(table[4:], 0x0200)
	le.PutUint16(table[6:], 2)
	out := append(bytes.Clone(p.data), table...)
	le.PutUint32(out[p.file.Directory.Offset:], uint32(len(p.data)))
	le.PutUint32(out[p.file.Directory.Offset+4:], uint32(len(table)))
	field := p.file.Header.Offset + optionalHeader + checksumField
	le.PutUint32(out[field:], checksum(out, field))
	if _, err := Image(bytes.NewReader(out), int64(len(out)), []*x509.Certificate{cert}); err != nil {
		return nil, fmt.Errorf("sign PE image: %w", err)
	}
	return out, nil
}

// checksum is the CheckSum of a PE header: the sum of the file's 16-bit words
// with their carries, but for the field itself, plus the file's size.
func checksum(image []byte, field int64) uint32 {
	sum := uint32(0)
	for i := 0; i+1 < len(image); i += 2 {
		if int64(i) == field || int64(i) == field+2 {
			continue
		}
		sum += uint32(binary.LittleEndian.Uint16(image[i:]))
		sum = sum&0xffff + sum>>16
	}
	return sum + uint32(len(image))
}
