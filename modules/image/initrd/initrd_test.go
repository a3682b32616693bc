package initrd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/cpio"
)

func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var base = map[string]string{"init": "-> usr/lib/systemd/systemd", "usr/lib/systemd/systemd": "elf", "etc/initrd-release": "ID=mangos\n", "usr/bin/udevadm": "elf", "usr/lib64/ld": "elf", "usr/sbin/x": "elf"}

func TestFinalise(t *testing.T) {
	tree, err := Finalise(Options{Tree: lay(t, base)})
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		if e := tree.Get(name); e == nil || e.Target != target {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for _, name := range folders {
		if e := tree.Get(name); e == nil || !e.IsDir() {
			t.Errorf("/%s is missing", name)
		}
	}
}

func TestNoShell(t *testing.T) {
	for name, content := range map[string]string{
		"usr/bin/sh": "elf", "usr/bin/bash": "elf", "usr/bin/busybox": "elf", "usr/sbin/sulogin": "elf", "opt/zsh-5.9": "elf",
		"usr/bin/python3.13": "elf", "usr/bin/perl5.40.1": "elf", "usr/bin/harmless": "-> dash", "usr/bin/x": "-> /bin/busybox",
	} {
		files := map[string]string{name: content}
		for k, v := range base {
			files[k] = v
		}
		if _, err := Finalise(Options{Tree: lay(t, files)}); !errors.Is(err, ErrInitrd) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		// An overlay is looked at as well.
		if _, err := Finalise(Options{Tree: lay(t, base), Overlays: []string{lay(t, map[string]string{name: content})}}); !errors.Is(err, ErrInitrd) {
			t.Errorf("%s in an overlay: %v", name, err)
		}
	}
	for _, name := range []string{"systemd", "show", "share", "udevadm", "flash", "crash"} {
		if isShell(name) {
			t.Errorf("%s is taken for a shell", name)
		}
	}
}

func TestFinaliseRefuses(t *testing.T) {
	for _, missing := range []string{"init", systemd, "etc/initrd-release"} {
		files := map[string]string{}
		for k, v := range base {
			if k != missing {
				files[k] = v
			}
		}
		if _, err := Finalise(Options{Tree: lay(t, files)}); !errors.Is(err, ErrInitrd) || !strings.Contains(err.Error(), "/"+missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

// The command line's archive stands where the kernel looks for the next one:
// at a multiple of 4 bytes.
func TestAppend(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 1001} {
		var b bytes.Buffer
		if err := Append(&b, strings.NewReader(strings.Repeat("z", n)), "roothash=00 quiet"); err != nil {
			t.Fatal(err)
		}
		at := (n + 3) / 4 * 4
		if !bytes.Equal(b.Bytes()[n:at], make([]byte, at-n)) {
			t.Errorf("after %d bytes: no zeros", n)
		}
		r := cpio.NewReader(bytes.NewReader(b.Bytes()[at:]))
		for {
			h, err := r.Next()
			if err != nil {
				t.Fatalf("after %d bytes: %v", n, err)
			}
			if h.Name == CommandLinePath {
				break
			}
		}
		if line, err := io.ReadAll(r); err != nil || string(line) != "roothash=00 quiet" {
			t.Errorf("%q, %v", line, err)
		}
	}
}

func TestMicrocode(t *testing.T) {
	var b bytes.Buffer
	err := Microcode(&b, lay(t, map[string]string{
		"usr/lib/firmware/amd-ucode/b.bin": "B", "usr/lib/firmware/amd-ucode/a.bin": "A", "usr/lib/firmware/amd-ucode/a.bin.asc": "signature",
		"usr/lib/firmware/intel-ucode/06-0f-06": "I", "usr/lib/firmware/amd/sev.sbin": "no microcode",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := cpio.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > 0 {
			got[h.Name] = string(content)
		}
	}
	if len(got) != 2 || got["kernel/x86/microcode/AuthenticAMD.bin"] != "AB" || got["kernel/x86/microcode/GenuineIntel.bin"] != "I" {
		t.Errorf("%q", got)
	}
	if err := Microcode(io.Discard, t.TempDir()); !errors.Is(err, ErrInitrd) {
		t.Errorf("nothing there: %v", err)
	}
}
