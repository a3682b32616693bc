package source

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes files below a folder.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
}

// TestFolder: what git does not keep does not matter.
func TestFolder(t *testing.T) {
	digest := func(change func(dir string)) string {
		dir := t.TempDir()
		write(t, dir, map[string]string{"sub/file": "text"})
		must(t, os.Symlink("file", filepath.Join(dir, "sub/link")))
		change(dir)
		d, err := Folder(t.Context(), dir)
		must(t, err)
		return d
	}
	base := digest(func(string) {})
	for name, c := range map[string]struct {
		change func(dir string)
		same   bool
	}{
		"umask":     {func(dir string) { must(t, os.Chmod(filepath.Join(dir, "sub/file"), 0o664)) }, true},
		"git":       {func(dir string) { write(t, dir, map[string]string{".git/index": "text"}) }, true},
		"a program": {func(dir string) { must(t, os.Chmod(filepath.Join(dir, "sub/file"), 0o755)) }, false},
		"a text":    {func(dir string) { write(t, dir, map[string]string{"sub/file": "Text"}) }, false},
		"a link": {func(dir string) {
			must(t, os.Remove(filepath.Join(dir, "sub/link")))
			must(t, os.Symlink("other", filepath.Join(dir, "sub/link")))
		}, false},
		"a name": {func(dir string) { must(t, os.Rename(filepath.Join(dir, "sub/file"), filepath.Join(dir, "sub/elif"))) }, false},
	} {
		if got := digest(c.change); (got == base) != c.same {
			t.Errorf("%s: the same: %v, want %v", name, got == base, c.same)
		}
	}
}

// TestFolderFailsClosed: what a digest cannot stand for is refused, and a link to a folder
// is that folder.
func TestFolderFailsClosed(t *testing.T) {
	empty, odd, linked := t.TempDir(), t.TempDir(), t.TempDir()
	if _, err := Folder(t.Context(), empty); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty folder: %v", err)
	}
	must(t, syscall.Mkfifo(filepath.Join(odd, "pipe"), 0o644))
	if _, err := Folder(t.Context(), odd); !errors.Is(err, ErrKind) {
		t.Errorf("a folder with a pipe: %v", err)
	}
	write(t, linked, map[string]string{"a/file": "text"})
	must(t, os.Symlink("a", filepath.Join(linked, "b")))
	a, err := Folder(t.Context(), filepath.Join(linked, "a"))
	must(t, err)
	if b, err := Folder(t.Context(), filepath.Join(linked, "b")); err != nil || a != b {
		t.Errorf("by a link it is %s (%v), not %s", b, err, a)
	}
}
