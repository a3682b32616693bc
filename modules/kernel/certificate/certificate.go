// Package certificate puts an organisation's certificate into the area that a
// kernel reserves for it (CONFIG_SYSTEM_EXTRA_CERTIFICATE).
//
// The kernel reads its built-in certificates from a list in memory of a stored
// size. The reserved area lies right behind that list; a certificate in it
// counts once the size of the list covers it. So three places change: the area,
// how much of it is used, and the size of the list. The result equals that of
// the kernel's own scripts/insert-sys-cert, byte for byte.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/vmlinux"
)

// Errors of certificates that cannot be put into a kernel.
var (
	ErrTooLong     = errors.New("certificate is too long for the reserved area")
	ErrUsed        = errors.New("the reserved area is already used")
	ErrCertificate = errors.New("bad certificate")
)

const (
	usedSize     = 4
	listSizeSize = 8
	// maxArea bounds the reserved area; the kernel's default is 4096 bytes.
	maxArea = 64 << 10
	// maxFile bounds what is read of a certificate's file.
	maxFile = 1 << 20
)

// Area is where a kernel file holds its reserved certificate area. Offsets are
// in bytes from the start of the file.
type Area struct {
	Certificate uint64 // offset of the area
	Capacity    uint64 // its length
	Used        uint64 // offset of the length in use, 4 bytes
	ListSize    uint64 // offset of the size of the list of certificates, 8 bytes
}

// Find locates the area in an ELF kernel, stripped or not, and checks that the
// symbols fit each other and the file.
func Find(kernel []byte, s Symbols) (Area, error) {
	if s.Used <= s.Area || s.Used-s.Area > maxArea {
		return Area{}, fmt.Errorf("find certificate area: %w: system_extra_cert_used at %#x does not follow system_extra_cert at %#x",
			ErrSymbol, s.Used, s.Area)
	}
	segments, err := vmlinux.Segments(kernel)
	if err != nil {
		return Area{}, fmt.Errorf("find certificate area: %w", err)
	}
	area := Area{Capacity: s.Used - s.Area}
	for _, p := range []struct {
		name    string
		address uint64
		length  uint64
		offset  *uint64
	}{
		{"system_extra_cert", s.Area, area.Capacity, &area.Certificate},
		{"system_extra_cert_used", s.Used, usedSize, &area.Used},
		{"system_certificate_list_size", s.ListSize, listSizeSize, &area.ListSize},
	} {
		if *p.offset, err = vmlinux.Offset(segments, p.address, p.length); err != nil {
			return Area{}, fmt.Errorf("find certificate area: %w: %s: %v", ErrSymbol, p.name, err)
		}
	}
	used, size := area.values(kernel)
	if used > area.Capacity || size < used || s.List+size-used != s.Area {
		return Area{}, fmt.Errorf("find certificate area: %w: the list at %#x holds %d bytes, %d of them in the area: it does not end where the area starts (%#x)",
			ErrSymbol, s.List, size, used, s.Area)
	}
	if area.ListSize < area.Used+usedSize || area.ListSize-area.Used > maxArea {
		return Area{}, fmt.Errorf("find certificate area: %w: system_certificate_list_size does not follow system_extra_cert_used", ErrSymbol)
	}
	return area, nil
}

func (a Area) values(kernel []byte) (used, listSize uint64) {
	return uint64(binary.LittleEndian.Uint32(kernel[a.Used:])), binary.LittleEndian.Uint64(kernel[a.ListSize:])
}

// Window returns the offset and the length of the smallest run of bytes of the
// file that holds all three places.
func (a Area) Window() (offset, length uint64) {
	return a.Certificate, a.ListSize + listSizeSize - a.Certificate
}

// Ranges names the bytes that Insert may change, by their offset in the file
// plus a shift.
func (a Area) Ranges(shift int64) []byterange.Range {
	return []byterange.Range{
		{Offset: int64(a.Certificate) + shift, Length: int64(a.Capacity), What: "reserved certificate area (system_extra_cert)"},
		{Offset: int64(a.Used) + shift, Length: usedSize, What: "bytes used of the area (system_extra_cert_used)"},
		{Offset: int64(a.ListSize) + shift, Length: listSizeSize, What: "size of the list of certificates (system_certificate_list_size)"},
	}
}

// Insert puts a certificate in DER into the area, in place. An area that is
// not empty is an error that wraps ErrUsed: a certificate goes into the kernel
// as it was built, never over another organisation's.
func (a Area) Insert(kernel, der []byte) error {
	used, size := a.values(kernel)
	area := kernel[a.Certificate : a.Certificate+a.Capacity]
	if used != 0 || !bytes.Equal(area, make([]byte, len(area))) {
		return fmt.Errorf("insert certificate: %w (%d bytes)", ErrUsed, used)
	}
	if len(der) > len(area) {
		return fmt.Errorf("insert certificate: %w: %d bytes, reserved are %d", ErrTooLong, len(der), len(area))
	}
	copy(area, der)
	binary.LittleEndian.PutUint32(kernel[a.Used:], uint32(len(der)))
	binary.LittleEndian.PutUint64(kernel[a.ListSize:], size+uint64(len(der)))
	return nil
}

// Read returns the DER of the single certificate in a DER or PEM file, if the
// kernel will be able to use it: RSA of 2048 to 4096 bits or ECDSA, signed with
// SHA-2. If it will not, the error wraps ErrCertificate.
func Read(r io.Reader) ([]byte, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if len(file) > maxFile {
		return nil, fmt.Errorf("read certificate: %w: more than %d bytes", ErrCertificate, maxFile)
	}
	der := file
	if bytes.HasPrefix(bytes.TrimSpace(file), []byte("-----BEGIN")) {
		block, rest := pem.Decode(file)
		// What pem.Decode cannot read it passes over.
		if block == nil || block.Type != "CERTIFICATE" || bytes.Count(file, []byte("-----BEGIN")) != 1 {
			return nil, fmt.Errorf("read certificate: %w: the PEM text is not one CERTIFICATE", ErrCertificate)
		}
		if len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("read certificate: %w: text follows the first certificate", ErrCertificate)
		}
		der = block.Bytes
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w: %v", ErrCertificate, err)
	}
	if err := usable(certificate); err != nil {
		return nil, fmt.Errorf("read certificate: %w: %v", ErrCertificate, err)
	}
	return der, nil
}

// usable tells why the kernel would not accept a certificate.
func usable(c *x509.Certificate) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 4096 {
			return fmt.Errorf("RSA key of %d bits, want 2048 to 4096", bits)
		}
	case *ecdsa.PublicKey:
	default:
		return fmt.Errorf("key of type %s, want RSA or ECDSA", c.PublicKeyAlgorithm)
	}
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
	default:
		return fmt.Errorf("signed with %s, want RSA (PKCS#1 v1.5) or ECDSA with SHA-2", c.SignatureAlgorithm)
	}
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
			return fmt.Errorf("it claims to have signed itself: %v", err)
		}
	}
	return nil
}

// Remove undoes [Area.Insert]: it returns a copy of a kernel file as it was
// before der was put into it. ranges are those of the file, as [Area.Ranges]
// names them; more may follow. A file that does not hold exactly this
// certificate is an error that wraps [ErrUsed].
func Remove(file []byte, ranges []byterange.Range, der []byte) ([]byte, error) {
	if len(ranges) < 3 || ranges[1].Length != usedSize || ranges[2].Length != listSizeSize {
		return nil, fmt.Errorf("remove certificate: %w: the ranges are not those of a certificate area", byterange.ErrInvalid)
	}
	original := bytes.Clone(file)
	var parts [3][]byte
	for i := range parts {
		r := ranges[i]
		if r.Offset < 0 || r.Length < 0 || r.Offset > int64(len(file)) || r.Length > int64(len(file))-r.Offset {
			return nil, fmt.Errorf("remove certificate: %w: %s is outside of the file", byterange.ErrInvalid, r.What)
		}
		parts[i] = original[r.Offset : r.Offset+r.Length]
	}
	area, used, list := parts[0], parts[1], parts[2]
	size := binary.LittleEndian.Uint64(list)
	if len(der) > len(area) || !bytes.Equal(area[:len(der)], der) || !bytes.Equal(area[len(der):], make([]byte, len(area)-len(der))) ||
		uint64(binary.LittleEndian.Uint32(used)) != uint64(len(der)) || size < uint64(len(der)) {
		return nil, fmt.Errorf("remove certificate: %w by something else than this certificate", ErrUsed)
	}
	clear(area)
	clear(used)
	binary.LittleEndian.PutUint64(list, size-uint64(len(der)))
	return original, nil
}
