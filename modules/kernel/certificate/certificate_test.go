package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/modules/kernel/certificate"
)

const (
	base     = 0xffffffff83000000
	capacity = 4096
	listAt   = 64 // in the data, with 16 bytes of certificates already in it
	areaAt   = listAt + 16
	usedAt   = areaAt + capacity
	sizeAt   = usedAt + 8
)

const systemMap = `ffffffff83000040 d system_certificate_list
ffffffff83000040 d __cert_list_start
ffffffff83000050 D system_extra_cert
ffffffff83001050 D system_extra_cert_used
ffffffff83001058 D system_certificate_list_size
ffffffff83001060 D module_cert_size
`

// kernel makes an ELF file with one segment of data that holds the area.
func kernel() []byte {
	const offset = 256
	file := make([]byte, offset+8192)
	copy(file, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(file[18:], 62)
	binary.LittleEndian.PutUint64(file[32:], 64)
	binary.LittleEndian.PutUint16(file[54:], 56)
	binary.LittleEndian.PutUint16(file[56:], 1)
	header := file[64:]
	binary.LittleEndian.PutUint32(header, 1)
	for i, v := range []uint64{offset, base, 0x3000000, 8192, 8192} {
		binary.LittleEndian.PutUint64(header[8+8*i:], v)
	}
	for i := range file[offset:] {
		file[offset+i] = byte(i * 7)
	}
	data := file[offset:]
	clear(data[areaAt:sizeAt])
	binary.LittleEndian.PutUint64(data[sizeAt:], 16)
	return file
}

func symbols(t *testing.T, text string) certificate.Symbols {
	t.Helper()
	s, err := certificate.ReadSymbols(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInsertChangesTheDeclaredRangesOnly(t *testing.T) {
	before := kernel()
	area, err := certificate.Find(before, symbols(t, systemMap))
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{1, 1281, capacity} {
		der := bytes.Repeat([]byte{0x30}, length)
		after := bytes.Clone(before)
		if err := area.Insert(after, der); err != nil {
			t.Fatal(err)
		}
		data := after[256:]
		if !bytes.Equal(data[areaAt:areaAt+length], der) || binary.LittleEndian.Uint32(data[usedAt:]) != uint32(length) ||
			binary.LittleEndian.Uint64(data[sizeAt:]) != uint64(16+length) {
			t.Errorf("%d bytes: not where they should be", length)
		}
		file := byterange.File{File: "vmlinux", Size: int64(len(before)), Ranges: area.Ranges(0)}
		if at, err := file.Outside(before, after); at != -1 || err != nil {
			t.Errorf("%d bytes: byte %d outside of the ranges changed, %v", length, at, err)
		}
		if err := area.Insert(after, der); !errors.Is(err, certificate.ErrUsed) {
			t.Errorf("a second time: %v", err)
		}
		if again, err := certificate.Find(after, symbols(t, systemMap)); err != nil || again != area {
			t.Errorf("in a kernel with a certificate: %+v, %v", again, err)
		}
	}
	if err := area.Insert(before, make([]byte, capacity+1)); !errors.Is(err, certificate.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	before[256+areaAt+capacity-1] = 1
	if err := area.Insert(before, []byte{1}); !errors.Is(err, certificate.ErrUsed) {
		t.Errorf("area that is not empty: %v", err)
	}
}

func TestSymbolsThatDoNotFit(t *testing.T) {
	for name, change := range map[string][2]string{
		"missing":                  {"ffffffff83000050 D system_extra_cert\n", ""},
		"twice":                    {"ffffffff83000050 D system_extra_cert\n", "ffffffff83000050 D system_extra_cert\nffffffff83000058 D system_extra_cert\n"},
		"zero":                     {"ffffffff83000050", "0000000000000000"},
		"no number":                {"ffffffff83000050", "no"},
		"fields":                   {" d __cert_list_start", ""},
		"elsewhere":                {"ffffffff83000050", "ffffffff83000051"},
		"list elsewhere":           {"ffffffff83000040 d system_certificate_list", "ffffffff83000048 d system_certificate_list"},
		"used before":              {"ffffffff83001050", "ffffffff83000010"},
		"used far behind":          {"ffffffff83001050", "ffffffff84001050"},
		"size outside of the file": {"ffffffff83001058", "ffffffff83001ffc"},
		"size before":              {"ffffffff83001058", "ffffffff83000038"},
	} {
		text := strings.Replace(systemMap, change[0], change[1], 1)
		s, err := certificate.ReadSymbols(strings.NewReader(text))
		if err == nil {
			_, err = certificate.Find(kernel(), s)
		}
		if !errors.Is(err, certificate.ErrSymbol) {
			t.Errorf("%s: %v, want ErrSymbol", name, err)
		}
	}
}

func selfSigned(t *testing.T, key any, public any, algorithm x509.SignatureAlgorithm) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0), SignatureAlgorithm: algorithm}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestReadTakesWhatTheKernelCanUse(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der := selfSigned(t, key, key.Public(), x509.SHA256WithRSA)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for _, file := range [][]byte{der, text} {
		if got, err := certificate.Read(file); err != nil || !bytes.Equal(got, der) {
			t.Errorf("good certificate: %v", err)
		}
	}
	changed := bytes.Clone(der)
	changed[len(changed)-1] ^= 1
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificate.Read(selfSigned(t, curve, curve.Public(), x509.ECDSAWithSHA256)); err != nil {
		t.Errorf("ECDSA: %v", err)
	}
	for name, file := range map[string][]byte{
		"empty":       {},
		"text":        []byte("certificate"),
		"key":         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"two in PEM":  append(bytes.Clone(text), text...),
		"two in DER":  append(bytes.Clone(der), der...),
		"signature":   changed,
		"Ed25519":     selfSigned(t, edwards, edwards.Public(), x509.PureEd25519),
		"RSA-PSS":     selfSigned(t, key, key.Public(), x509.SHA256WithRSAPSS),
		"broken text": []byte("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
	} {
		if _, err := certificate.Read(file); !errors.Is(err, certificate.ErrCertificate) {
			t.Errorf("%s: %v, want ErrCertificate", name, err)
		}
	}
}

func FuzzReadSymbols(f *testing.F) {
	f.Add(systemMap)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := certificate.ReadSymbols(strings.NewReader(text))
		if err != nil {
			return
		}
		k := kernel()
		if area, err := certificate.Find(k, s); err == nil {
			_ = area.Insert(k, []byte{1})
		}
	})
}
