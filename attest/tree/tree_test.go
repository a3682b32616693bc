package tree

import (
	"os"
	"path/filepath"
	"testing"
)

func read(t *testing.T, root string) string {
	t.Helper()
	entries, err := Read(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	return Digest(entries)
}

// TestDigest: everything that the manifest promises to tell changes the
// digest, and times do not.
func TestDigest(t *testing.T) {
	changes := map[string]func(root string) error{
		"content":    func(r string) error { return os.WriteFile(filepath.Join(r, "a"), []byte("other"), 0o644) },
		"mode":       func(r string) error { return os.Chmod(filepath.Join(r, "a"), 0o4755) },
		"target":     func(r string) error { os.Remove(filepath.Join(r, "l")); return os.Symlink("b", filepath.Join(r, "l")) },
		"new file":   func(r string) error { return os.WriteFile(filepath.Join(r, "b"), nil, 0o644) },
		"new folder": func(r string) error { return os.Mkdir(filepath.Join(r, "d", "e"), 0o755) },
		"renamed":    func(r string) error { return os.Rename(filepath.Join(r, "a"), filepath.Join(r, "d", "a")) },
		"own mode":   func(r string) error { return os.Chmod(r, 0o700) },
	}
	for name, change := range changes {
		root := filepath.Join(t.TempDir(), "t")
		for _, err := range []error{
			os.MkdirAll(filepath.Join(root, "d"), 0o755), os.Chmod(root, 0o755),
			os.WriteFile(filepath.Join(root, "a"), []byte("text"), 0o644), os.Symlink("a", filepath.Join(root, "l")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		before := read(t, root)
		if again := read(t, root); again != before {
			t.Fatalf("the same tree has two digests")
		}
		if err := change(root); err != nil {
			t.Fatal(err)
		}
		if read(t, root) == before {
			t.Errorf("%s: the digest is the same", name)
		}
	}
}

// TestManifest is the known answer of the documented form.
func TestManifest(t *testing.T) {
	got := string(Manifest([]Entry{
		{Path: ".", Type: 'd', Mode: 0o755},
		{Path: "a\nb", Type: 'f', Mode: 0o4755, UID: 1, GID: 2, SHA256: "00", Capability: []byte{1, 0xff}},
		{Path: "l", Type: 'l', Mode: 0o777, Target: "x y"},
		{Path: "null", Type: 'c', Mode: 0o666, Device: 0x103},
	}))
	want := "d 0755 0:0 - - \".\"\nf 4755 1:2 00 01ff \"a\\nb\"\nl 0777 0:0 \"x y\" - \"l\"\nc 0666 0:0 1:3 - \"null\"\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestHashFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	digest, size, err := HashFile(path, false)
	if err != nil || size != 3 || digest != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("%s, %d, %v", digest, size, err)
	}
	link := filepath.Join(dir, "l")
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := HashFile(link, false); err == nil {
		t.Error("a link was followed")
	}
	if _, _, err := HashFile(dir, false); err == nil {
		t.Error("a folder was hashed")
	}
}
