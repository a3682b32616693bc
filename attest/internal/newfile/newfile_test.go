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

// ways are those in which a file gets its name.
var ways = map[string]place{"link": link, "rename": rename, "create": create}

func TestWrite(t *testing.T) {
	for name, way := range ways {
		dir := t.TempDir()
		path := filepath.Join(dir, "a")
		err := write(path, 0o640, []byte("one"), way)
		if errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
		err = write(path, 0o640, []byte("two"), way)
		if want := "create " + path + ": file exists"; !errors.Is(err, fs.ErrExist) || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
		content(t, dir, map[string]string{"a": "one"})
		if err := write(filepath.Join(dir, "no", "a"), 0o640, nil, way); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a folder that is not there: %v", name, err)
		}
	}
}

// none is a way that the file system does not have.
func none(string, string, os.FileMode, []byte) error { return fs.ErrPermission }

// TestOtherWay: what one way cannot do, the next one does; a name that is taken is not
// tried again.
func TestOtherWay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := write(path, 0o600, []byte("one"), none, none, create); err != nil {
		t.Fatal(err)
	}
	for _, ways := range [][]place{{none, rename, create}, {link, overwrite}} {
		if err := write(path, 0o600, []byte("two"), ways...); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a name that is taken: %v", err)
		}
	}
	if err := write(filepath.Join(dir, "b"), 0o600, nil, none); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("no way: %v", err)
	}
	content(t, dir, map[string]string{"a": "one"})
}

// overwrite is what no way may do.
func overwrite(_, path string, mode os.FileMode, data []byte) error {
	return os.WriteFile(path, data, mode)
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
