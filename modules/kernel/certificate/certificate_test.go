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
	"github.com/mastercard/mangos/modules/kernel/kerneltest"
)

func symbols(t *testing.T, text string) certificate.Symbols {
	t.Helper()
	s, err := certificate.ReadSymbols(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInsertChangesTheDeclaredRangesOnly(t *testing.T) {
	before := kerneltest.Vmlinux()
	area, err := certificate.Find(before, symbols(t, kerneltest.SystemMap))
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{1, 1281, kerneltest.Capacity} {
		der := bytes.Repeat([]byte{0x30}, length)
		after := bytes.Clone(before)
		if err := area.Insert(after, der); err != nil {
			t.Fatal(err)
		}
		data := after[kerneltest.DataOffset:]
		if !bytes.Equal(data[kerneltest.AreaAt:kerneltest.AreaAt+length], der) || binary.LittleEndian.Uint32(data[kerneltest.UsedAt:]) != uint32(length) ||
			binary.LittleEndian.Uint64(data[kerneltest.SizeAt:]) != uint64(16+length) {
			t.Errorf("%d bytes: not where they should be", length)
		}
		file := byterange.File{File: "vmlinux", Size: int64(len(before)), Ranges: area.Ranges(0)}
		if at, err := file.Outside(before, after); at != -1 || err != nil {
			t.Errorf("%d bytes: byte %d outside of the ranges changed, %v", length, at, err)
		}
		if err := area.Insert(after, der); !errors.Is(err, certificate.ErrUsed) {
			t.Errorf("a second time: %v", err)
		}
		if again, err := certificate.Find(after, symbols(t, kerneltest.SystemMap)); err != nil || again != area {
			t.Errorf("in a kernel with a certificate: %+v, %v", again, err)
		}
	}
	if err := area.Insert(before, make([]byte, kerneltest.Capacity+1)); !errors.Is(err, certificate.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	before[kerneltest.DataOffset+kerneltest.AreaAt+kerneltest.Capacity-1] = 1
	if err := area.Insert(before, []byte{1}); !errors.Is(err, certificate.ErrUsed) {
		t.Errorf("area that is not empty: %v", err)
	}
}

func TestRemove(t *testing.T) {
	before := kerneltest.Vmlinux()
	area, err := certificate.Find(before, symbols(t, kerneltest.SystemMap))
	if err != nil {
		t.Fatal(err)
	}
	der := bytes.Repeat([]byte{0x30}, 1281)
	certified := bytes.Clone(before)
	if err := area.Insert(certified, der); err != nil {
		t.Fatal(err)
	}
	got, err := certificate.Remove(certified, area.Ranges(0), der)
	if err != nil || !bytes.Equal(got, before) {
		t.Errorf("not as it was before: %v", err)
	}
	for name, other := range map[string][]byte{"another certificate": bytes.Repeat([]byte{0x31}, 1281), "a longer one": append(der, 1), "a shorter one": der[:1280]} {
		if _, err := certificate.Remove(certified, area.Ranges(0), other); !errors.Is(err, certificate.ErrUsed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	certified[area.Certificate+4000] = 1
	if _, err := certificate.Remove(certified, area.Ranges(0), der); !errors.Is(err, certificate.ErrUsed) {
		t.Errorf("something behind it: %v", err)
	}
	for name, ranges := range map[string][]byterange.Range{"none": nil, "outside": area.Ranges(1 << 40), "of the wrong length": {{Length: 1}, {Length: 1}, {Length: 1}}} {
		if _, err := certificate.Remove(certified, ranges, der); !errors.Is(err, byterange.ErrInvalid) {
			t.Errorf("ranges: %s: %v", name, err)
		}
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
		text := strings.Replace(kerneltest.SystemMap, change[0], change[1], 1)
		s, err := certificate.ReadSymbols(strings.NewReader(text))
		if err == nil {
			_, err = certificate.Find(kerneltest.Vmlinux(), s)
		}
		if !errors.Is(err, certificate.ErrSymbol) {
			t.Errorf("%s: %v, want ErrSymbol", name, err)
		}
	}
}

func selfSigned(t testing.TB, key any, public any, algorithm x509.SignatureAlgorithm) []byte {
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
		if got, err := certificate.Read(bytes.NewReader(file)); err != nil || !bytes.Equal(got, der) {
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
	if _, err := certificate.Read(bytes.NewReader(selfSigned(t, curve, curve.Public(), x509.ECDSAWithSHA256))); err != nil {
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
		"too long":    append(bytes.Clone(text), bytes.Repeat([]byte{'\n'}, 1<<20)...),
		"one broken":  append([]byte("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"), text...),
		"broken text": []byte("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
	} {
		if _, err := certificate.Read(bytes.NewReader(file)); !errors.Is(err, certificate.ErrCertificate) {
			t.Errorf("%s: %v, want ErrCertificate", name, err)
		}
	}
}

func FuzzReadSymbols(f *testing.F) {
	f.Add(kerneltest.SystemMap)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := certificate.ReadSymbols(strings.NewReader(text))
		if err != nil {
			return
		}
		k := kerneltest.Vmlinux()
		if area, err := certificate.Find(k, s); err == nil {
			_ = area.Insert(k, []byte{1})
		}
	})
}

// What is taken is one certificate, the same in both encodings.
func FuzzReadCertificate(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	der := selfSigned(f, key, key.Public(), x509.SHA256WithRSA)
	f.Add(der)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	f.Add(append(bytes.Clone(der), 0))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := certificate.Read(bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, certificate.ErrCertificate) {
				t.Fatal(err)
			}
			return
		}
		c, err := x509.ParseCertificate(got)
		if err != nil || !bytes.Equal(c.Raw, got) {
			t.Fatalf("not one certificate: %v", err)
		}
		if again, err := certificate.Read(bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: got}))); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("its PEM is read as another: %v", err)
		}
	})
}
