package output

import (
	"errors"
	"io"
	"os"
	"path/filepath"
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
