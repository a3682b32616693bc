package vfat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program from dosfstools or mtools.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, text)
	}
}

func volume(t testing.TB, size int64, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "esp")
	must(t, os.WriteFile(image, nil, 0o644))
	must(t, os.Truncate(image, size))
	run(t, "mkfs.vfat", append(args, "-i", "12345678", "-n", "MANGOS", image)...)
	run(t, "mmd", "-i", image, "::/EFI", "::/EFI/Linux")
	for n, name := range names {
		source := filepath.Join(dir, "source")
		must(t, os.WriteFile(source, data(n), 0o644))
		run(t, "mcopy", "-i", image, source, "::/EFI/Linux/"+name)
	}
	return image
}

var names = []string{"mangos_0.1.efi", "SHORT.TXT", "lower.txt", "ein sehr langer Name mit Umlaut ä und ☃, über mehrere Einträge.conf", "empty"}

func data(n int) []byte {
	if n == len(names)-1 {
		return nil
	}
	return bytes.Repeat([]byte(fmt.Sprintf("file %d ", n)), 1000*(n+1))
}

func TestVolumes(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, c := range []struct {
		size int64
		bits int
		args []string
	}{
		{2 << 20, 12, nil},
		{32 << 20, 16, []string{"-F16"}},
		{40 << 20, 32, []string{"-F32", "-S512"}},
		{300 << 20, 32, []string{"-F32", "-S4096"}},
	} {
		t.Run(fmt.Sprint(c.bits, c.args), func(t *testing.T) {
			f, err := os.Open(volume(t, c.size, c.args...))
			must(t, err)
			defer f.Close()
			v, err := Open(f, c.size)
			must(t, err)
			if b := v.Boot(); b.Bits != c.bits || b.Serial != 0x12345678 || b.Label != "MANGOS     " {
				t.Errorf("boot sector: %+v", b)
			}
			checkFiles(t, v)
		})
	}
}

func checkFiles(t *testing.T, v *Volume) {
	t.Helper()
	dir := v.Root()
	for _, name := range []string{"EFI", "Linux"} {
		entries, err := dir.ReadDir()
		must(t, err)
		dir = nil
		for _, e := range entries {
			if e.Name == name {
				dir = e
			}
		}
		if dir == nil {
			t.Fatalf("no %s", name)
		}
	}
	entries, err := dir.ReadDir()
	must(t, err)
	if len(entries) != len(names) {
		t.Fatalf("%d files, want %d", len(entries), len(names))
	}
	for n, e := range entries {
		if e.Name != names[n] || e.Modified.String() < "2020" {
			t.Errorf("file %d: name %q, time %v", n, e.Name, e.Modified)
		}
		r, err := e.Open()
		must(t, err)
		got, err := io.ReadAll(io.NewSectionReader(r, 0, e.Size))
		if err != nil || !bytes.Equal(got, data(n)) {
			t.Errorf("file %q: %d bytes, %v", e.Name, len(got), err)
		}
	}
}

func TestRefused(t *testing.T) {
	path := volume(t, 2<<20)
	good, err := os.ReadFile(path)
	must(t, err)
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrNotFAT},
		{"no signature", func(b []byte) []byte { b[510] = 0; return b }, ErrNotFAT},
		{"sector size", func(b []byte) []byte { b[12] = 3; return b }, ErrNotFAT},
		{"cut off", func(b []byte) []byte { return b[:1<<20] }, ErrCorrupt},
	} {
		b := c.change(bytes.Clone(good))
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestLoop makes the FAT point in a circle.
func TestLoop(t *testing.T) {
	b, err := os.ReadFile(volume(t, 32<<20, "-F16"))
	must(t, err)
	v, err := Open(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	for c := int64(2); c < 40; c++ {
		b[v.fatOffset+2*c], b[v.fatOffset+2*c+1] = 2, 0
	}
	entries, err := v.Root().ReadDir()
	must(t, err)
	for _, e := range entries {
		if e.IsDir() {
			if _, err := e.ReadDir(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("a looping chain: %v", err)
			}
		}
	}
}

func FuzzVolume(f *testing.F) {
	if _, err := exec.LookPath("mkfs.vfat"); err == nil {
		b, err := os.ReadFile(volume(f, 256<<10))
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		v, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		budget := 50
		walk(v.Root(), &budget)
	})
}

func walk(f *File, budget *int) {
	if *budget--; *budget < 0 {
		return
	}
	if !f.IsDir() {
		if r, err := f.Open(); err == nil {
			_, _ = io.CopyN(io.Discard, io.NewSectionReader(r, 0, f.Size), 1<<20)
		}
		return
	}
	entries, _ := f.ReadDir()
	for _, e := range entries {
		_ = e.Created.String()
		walk(e, budget)
	}
}
