package output

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

var errHalf = errors.New("half-way")

// What fails leaves the old file alone, and nothing else.
func TestFailureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := Bytes(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func() error{
		"Write": func() error {
			return Write(path, func(w io.Writer) error { io.WriteString(w, "new"); return errHalf })
		},
		"Made": func() error {
			return Made(path, func(temporary string) error {
				return errors.Join(os.WriteFile(temporary, []byte("new"), 0o600), errHalf)
			})
		},
		"Made nothing": func() error { return Made(path, func(string) error { return nil }) },
	} {
		if err := write(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v, %v", name, entries, err)
		}
	}
}

func TestModeIsFixed(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := errors.Join(Bytes(a, nil), Made(b, func(p string) error { return os.WriteFile(p, nil, 0o600) })); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{a, b} {
		if st, err := os.Stat(p); err != nil || st.Mode() != 0o644 {
			t.Errorf("%s: %v, %v", p, st.Mode(), err)
		}
	}
}

// What cannot be brought to the disk gets no name. Neither a pipe nor a device for
// nothing has a disk.
func TestContentComesFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, err := syscall.Dup(int(w.Fd()))
	if err := errors.Join(err, w.Close(), f.File.Close()); err != nil {
		t.Fatal(err)
	}
	f.File = os.NewFile(uintptr(fd), f.Name())
	made := func(temporary string) error { return syscall.Mknod(temporary, syscall.S_IFCHR|0o600, 1<<8|3) }
	for name, err := range map[string]error{"Commit": f.Commit(), "Made": Made(path, made)} {
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v, want %v", name, err, syscall.EINVAL)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file has its name: %v", name, err)
		}
	}
}
