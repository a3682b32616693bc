package rootfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
)

func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func options(t *testing.T, without ...string) Options {
	files := map[string]string{
		"usr/lib/systemd/systemd": "elf", "usr/sbin/init": "elf", "etc/machine-id": "0123", "etc/passwd": "root",
		"usr/lib/os-release": "ID=debian\n", "var/lib/dpkg/status": "Package: x\n", "var/lib/dpkg/status-old": "old",
		"var/lib/dpkg/lock": "", "var/lib/dpkg/info/x.list": "/x", "var/lib/dpkg/triggers/Lock": "", "var/lib/dpkg/updates/0001": "",
		"var/log/dpkg.log": "log", "run/x": "x", "dev/null": "x", "tmp/x": "x",
	}
	for _, name := range without {
		delete(files, name)
	}
	return Options{
		Tree: lay(t, files), Overlays: []string{lay(t, map[string]string{"usr/lib/os-release": "ID=mangos\nPRETTY_NAME=\"mangos\"\n"})},
		Name: "mangos", Version: "1.2", Epoch: 1,
	}
}

func TestFinalise(t *testing.T) {
	tree, release, err := Finalise(options(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		".", "dev", "etc", "etc/machine-id", "etc/os-release", "etc/passwd", "proc", "run", "sys", "tmp", "usr", "usr/lib",
		"usr/lib/dpkg-db", "usr/lib/dpkg-db/info", "usr/lib/dpkg-db/info/x.list", "usr/lib/dpkg-db/status",
		"usr/lib/dpkg-db/triggers", "usr/lib/dpkg-db/updates", "usr/lib/os-release", "usr/lib/systemd",
		"usr/lib/systemd/systemd", "usr/sbin", "usr/sbin/init", "var",
	}
	if !slices.Equal(tree.Paths(), want) {
		t.Errorf("got  %q\nwant %q", tree.Paths(), want)
	}
	if string(release) != "ID=mangos\nPRETTY_NAME=\"mangos\"\nIMAGE_ID=mangos\nIMAGE_VERSION=1.2\n" {
		t.Errorf("%q", release)
	}
	if b, err := tree.ReadFile("etc/machine-id", 10); err != nil || len(b) != 0 {
		t.Errorf("machine-id %q, %v", b, err)
	}
}

func FuzzAppendRelease(f *testing.F) {
	for _, text := range []string{"", "ID=debian\nPRETTY_NAME=\"x y\"\n", "IMAGE_ID=x", " IMAGE_VERSION=1\r\n", "# IMAGE_ID=x\n\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := appendRelease(text, "mangos", "1")
		if err != nil {
			if !errors.Is(err, ErrRoot) {
				t.Error(err)
			}
			return
		}
		if !bytes.HasPrefix(got, bytes.TrimRight(text, "\n")) {
			t.Errorf("%q has become %q", text, got)
		}
		var set []string
		for line := range strings.Lines(string(got)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "IMAGE_ID=") || strings.HasPrefix(line, "IMAGE_VERSION=") {
				set = append(set, line)
			}
		}
		if !slices.Equal(set, []string{"IMAGE_ID=mangos", "IMAGE_VERSION=1"}) {
			t.Errorf("%q sets %q", text, set)
		}
	})
}

func TestFinaliseRefuses(t *testing.T) {
	for _, name := range []string{"usr/lib/systemd/systemd", "usr/sbin/init", "var/lib/dpkg/status"} {
		if _, _, err := Finalise(options(t, name)); !errors.Is(err, ErrRoot) || !strings.Contains(err.Error(), filepath.Base(name)) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"usr/lib/os-release":                 "IMAGE_VERSION=9\n",
		"usr/lib/systemd/import-pubring.gpg": "keys",
		"usr/lib/systemd/import-pubring.pgp": "keys",
	} {
		o := options(t)
		o.Overlays = append(o.Overlays, lay(t, map[string]string{name: text}))
		if _, _, err := Finalise(o); !errors.Is(err, ErrRoot) {
			t.Errorf("an overlay with %s: %v", name, err)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for version, fits := range map[string]bool{
		"0.1": true, "1.2~rc1": true, "20261123": true, strings.Repeat("1", 18): true,
		strings.Repeat("1", 19): false, "": false, "1_2": false, "1 2": false, "../x": false, "V1": false, "1+3": false,
	} {
		if err := CheckVersion("mangos", version); (err == nil) != fits {
			t.Errorf("%q: %v", version, err)
		}
	}
	if err := CheckVersion("mangos", strings.Repeat("1", 19)); !errors.Is(err, gpt.ErrFormat) {
		t.Errorf("too long for the label: %v", err)
	}
	for _, name := range []string{"", "Mangos", "man_gos", "man/gos"} {
		if err := CheckVersion(name, "1"); err == nil {
			t.Errorf("name %q passes", name)
		}
	}
}
