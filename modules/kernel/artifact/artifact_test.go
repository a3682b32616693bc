package artifact_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/bzimage"
	"github.com/mastercard/mangos/format/vmlinux"
	"github.com/mastercard/mangos/modules/kernel/artifact"
	"github.com/mastercard/mangos/modules/kernel/certificate"
	"github.com/mastercard/mangos/modules/kernel/kerneltest"
	"github.com/mastercard/mangos/modules/kernel/payload"
)

// packed returns a folder with a packed kernel.
func packed(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	compiled, out := filepath.Join(folder, "compiled"), filepath.Join(folder, "packed")
	if err := kerneltest.WriteCompiled(compiled); err != nil {
		t.Fatal(err)
	}
	if err := artifact.Pack(compiled, out, kerneltest.Compress); err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Two organisations: each one's bzImage holds its own vmlinux, and the files
// of both differ in the declared ranges only.
func TestTwoOrganisations(t *testing.T) {
	folder := packed(t)
	ranges, err := byterange.Read(bytes.NewReader(read(t, folder, artifact.Ranges)))
	if err != nil {
		t.Fatal(err)
	}
	var results []string
	for _, letter := range []string{"a", "b"} {
		out := filepath.Join(t.TempDir(), letter)
		if err := artifact.Certify(folder, out, bytes.Repeat([]byte(letter), 1300)); err != nil {
			t.Fatal(err)
		}
		image, err := bzimage.Parse(read(t, out, artifact.BzImage))
		if err != nil {
			t.Fatal(err)
		}
		kernel, err := image.Kernel()
		if err != nil {
			t.Fatal(err)
		}
		if err := vmlinux.Same(read(t, out, artifact.Vmlinux), kernel); err != nil {
			t.Error(err)
		}
		if _, stored := image.Checksum(); !stored {
			t.Error("the checksum is that of another file")
		}
		results = append(results, out)
	}
	for _, name := range []string{artifact.Vmlinux, artifact.BzImage} {
		file, err := ranges.File(name)
		if err != nil {
			t.Fatal(err)
		}
		a, b := read(t, results[0], name), read(t, results[1], name)
		if bytes.Equal(a, b) {
			t.Errorf("%s: no certificate in it", name)
		}
		if name == artifact.BzImage {
			restored, err := artifact.Uncertify(append(bytes.Clone(a), 0, 0, 0), file)
			if err != nil || !bytes.Equal(restored, read(t, folder, name)) {
				t.Errorf("without certificate again, it is another one: %v", err)
			}
			a[file.Ranges[0].Offset+2000] = 1
			if _, err := artifact.Uncertify(a, file); !errors.Is(err, artifact.ErrRanges) {
				t.Errorf("a hidden byte behind the certificate: %v", err)
			}
			a[file.Ranges[0].Offset+2000] = 0
		}
		for _, other := range [][]byte{b, read(t, folder, name)} {
			if at, err := file.Outside(a, other); at != -1 || err != nil {
				t.Errorf("%s: byte %d differs outside of the ranges, %v", name, at, err)
			}
		}
	}
	if err := artifact.Certify(results[0], filepath.Join(t.TempDir(), "twice"), []byte("b")); !errors.Is(err, certificate.ErrUsed) {
		t.Errorf("over another organisation's certificate: %v", err)
	}
	if err := artifact.Certify(folder, results[0], []byte("b")); !errors.Is(err, artifact.ErrExists) {
		t.Errorf("over another result: %v", err)
	}
}

// shift moves the first range of the first file by one byte.
func shift(text []byte) []byte {
	set, err := byterange.Read(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	set.Files[0].Ranges[0].Offset--
	text, err = set.JSON()
	if err != nil {
		return nil
	}
	return text
}

// What does not belong together is refused, and leaves nothing behind.
func TestCertifyRefusesWhatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		change func([]byte) []byte
		want   error
	}{
		"another kernel's bzImage": {artifact.BzImage, func(b []byte) []byte { return append(b, 0) }, artifact.ErrRanges},
		"another kernel's vmlinux": {artifact.Vmlinux, func(b []byte) []byte { b[5000] ^= 1; return b }, artifact.ErrRanges},
		"shifted ranges":           {artifact.Ranges, shift, artifact.ErrRanges},
		"no ranges":                {artifact.Ranges, func([]byte) []byte { return []byte(`{"files":[]}`) }, byterange.ErrInvalid},
		"no symbol":                {artifact.SystemMap, func([]byte) []byte { return nil }, certificate.ErrSymbol},
	} {
		folder := packed(t)
		file := filepath.Join(folder, c.file)
		if err := os.WriteFile(file, c.change(read(t, file)), 0o644); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out")
		if err := artifact.Certify(folder, out, []byte("certificate")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if names, err := os.ReadDir(filepath.Dir(out)); err != nil || len(names) != 0 {
			t.Errorf("%s: left behind: %v, %v", name, names, err)
		}
	}
	folder := packed(t)
	if err := artifact.Certify(folder, filepath.Join(t.TempDir(), "out"), make([]byte, 4097)); !errors.Is(err, certificate.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}

func TestPackRefusesWhatDoesNotFit(t *testing.T) {
	compiled := filepath.Join(t.TempDir(), "compiled")
	if err := kerneltest.WriteCompiled(compiled); err != nil {
		t.Fatal(err)
	}
	tight, err := kerneltest.BzImage(0)
	if err != nil {
		t.Fatal(err)
	}
	changed := kerneltest.Vmlinux()
	changed[5000] ^= 1
	for name, c := range map[string]struct {
		file    string
		content []byte
		want    error
	}{
		"no room":        {artifact.BzImage, tight, payload.ErrTooLarge},
		"another kernel": {artifact.Vmlinux, changed, vmlinux.ErrDifferent},
		"no symbol":      {artifact.SystemMap, []byte(strings.ReplaceAll(kerneltest.SystemMap, "extra", "other")), certificate.ErrSymbol},
	} {
		before := read(t, compiled, c.file)
		if err := os.WriteFile(filepath.Join(compiled, c.file), c.content, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := artifact.Pack(compiled, filepath.Join(t.TempDir(), "out"), kerneltest.Compress); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err := os.WriteFile(filepath.Join(compiled, c.file), before, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
