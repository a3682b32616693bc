package verify

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"

	"github.com/mastercard/mangos/attest/provenance"
)

// TestReadSignatures: one way to read .pcrsig.
func TestReadSignatures(t *testing.T) {
	const good = `{"sha256":[{"pcrs":[11],"pkfp":"","pol":"","sig":""}]}`
	if list, err := readSignatures([]byte(good + "\x00\x00")); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	for name, text := range map[string]string{
		"a doubled bank":     `{"sha256":[],` + good[1:],
		"a doubled member":   `{"sha256":[{"pol":"x","pcrs":[11],"pkfp":"","pol":"","sig":""}]}`,
		"in another case":    `{"sha256":[{"pcrs":[11],"pkfp":"","Pol":"","sig":""}]}`,
		"something behind":   good + "{}",
		"no bank of SHA-256": `{"sha1":[]}`,
		"another bank":       `{"sha1":[{"pcrs":[11],"pkfp":"","pol":"","sig":""}],` + good[1:],
		"an empty bank":      `{"sha384":[],` + good[1:],
		"another member":     `{"sha256":[{"pcrs":[11],"pkfp":"","pol":"","sig":"","pol2":""}]}`,
	} {
		if list, err := readSignatures([]byte(text)); err == nil {
			t.Errorf("%s: %v", name, list)
		}
	}
}

// FuzzReadSignatures: what is read has a bank of SHA-256.
func FuzzReadSignatures(f *testing.F) {
	f.Add([]byte(`{"sha256":[{"pcrs":[11],"pkfp":"","pol":"","sig":""}]}`))
	f.Fuzz(func(t *testing.T, section []byte) {
		if list, err := readSignatures(section); err == nil && len(list) == 0 {
			t.Error("no signature, and no error")
		}
	})
}

// FuzzHashModule: the sum of an archive is the go command's, or there is none.
func FuzzHashModule(f *testing.F) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"m@v1/go.mod", "m@v1/a.go"} {
		if w, err := z.Create(name); err != nil {
			f.Fatal(err)
		} else if _, err := w.Write([]byte(name)); err != nil {
			f.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("PK"))
	path := filepath.Join(f.TempDir(), "m.zip")
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := hashModule(data)
		if err != nil {
			return
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if want, err := dirhash.HashZip(path, dirhash.Hash1); err == nil && got != want {
			t.Errorf("%s, the go command says %s", got, want)
		}
	})
}

// TestLoader: a line that only the boot loader sees as one is not overlooked.
func TestLoader(t *testing.T) {
	const good = "timeout 0\neditor no\nsecure-boot-enroll off\n"
	if err := checkLoader([]byte(good)); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		"", "timeout 0\reditor yes\neditor no\nsecure-boot-enroll off\n", strings.Replace(good, "no", "yes", 1), good + "\n", good[:len(good)-1],
		"timeout 0\neditor no\nsecure-boot-enroll off\r\n", "editor no\nsecure-boot-enroll off\n",
	} {
		if err := checkLoader([]byte(text)); err == nil {
			t.Errorf("accepted: %q", text)
		}
	}
}

// FuzzStatementStep: the name of a statement's file tells a step's name, or none.
func FuzzStatementStep(f *testing.F) {
	f.Add("mangos_1.2.erofs.sigstore.json")
	f.Add("mangos_1.2.erofs.01234567.sigstore.json")
	f.Fuzz(func(t *testing.T, file string) {
		if step, ok := statementStep(file); ok && provenance.CheckStep(step) != nil {
			t.Errorf("%q is about %q", file, step)
		}
	})
}
