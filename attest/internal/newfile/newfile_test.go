package newfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// content fails the test unless dir holds exactly these files.
func content(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if text, ok := want[e.Name()]; err != nil || !ok || text != string(got) {
			t.Errorf("%s holds %q, %v", e.Name(), got, err)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %d", len(entries), len(want))
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, 0o640, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
	err := Write(path, 0o640, []byte("two"))
	if want := "create " + path + ": file exists"; !errors.Is(err, fs.ErrExist) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	content(t, dir, map[string]string{"a": "one"})
	if err := Write(filepath.Join(dir, "no", "a"), 0o640, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestAll(t *testing.T) {
	dir, files, want := t.TempDir(), map[string][]byte{}, map[string]string{}
	for i := range 20 {
		name := fmt.Sprint(i)
		files[name], want[name] = []byte(name), name
	}
	if err := All(dir, 0o644, files); err != nil {
		t.Fatal(err)
	}
	content(t, dir, want)
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "7"), []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := All(dir, 0o644, files); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	content(t, dir, map[string]string{"7": "before"})
}
