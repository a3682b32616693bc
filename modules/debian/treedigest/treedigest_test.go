package treedigest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree makes the same tree each time.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	at := time.Unix(1000, 5)
	for _, name := range []string{"d/file", "d/other"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(root, "d/file"), filepath.Join(root, "d/hard")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(root, "d/link")); err != nil {
		t.Fatal(err)
	}
	settle(t, root)
	return root
}

// settle gives folders and links one date.
func settle(t *testing.T, root string) {
	t.Helper()
	times := []unix.Timespec{{Sec: 1000}, {Sec: 1000}}
	for _, name := range []string{"d/link", "d", ""} {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(root, name), times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
}

func digest(t *testing.T, root string) string {
	t.Helper()
	lines, err := Lines(root)
	if err != nil {
		t.Fatal(err)
	}
	return Digest(lines)
}

func TestDigestTellsEverything(t *testing.T) {
	want := digest(t, tree(t))
	if digest(t, tree(t)) != want {
		t.Fatal("equal trees have two digests")
	}
	for name, change := range map[string]func(root string) error{
		"content": func(r string) error {
			return os.WriteFile(filepath.Join(r, "d/other"), []byte("CONTENT"), 0o644)
		},
		"mode": func(r string) error { return os.Chmod(filepath.Join(r, "d/other"), 0o600) },
		"date": func(r string) error {
			return os.Chtimes(filepath.Join(r, "d/other"), time.Unix(1, 0), time.Unix(1000, 6))
		},
		"name":  func(r string) error { return os.Rename(filepath.Join(r, "d/other"), filepath.Join(r, "d/otter")) },
		"fewer": func(r string) error { return os.Remove(filepath.Join(r, "d/other")) },
		"link": func(r string) error {
			os.Remove(filepath.Join(r, "d/link"))
			return os.Symlink("other", filepath.Join(r, "d/link"))
		},
		"hard link to another": func(r string) error {
			os.Remove(filepath.Join(r, "d/hard"))
			return os.Link(filepath.Join(r, "d/other"), filepath.Join(r, "d/hard"))
		},
		"attribute": func(r string) error {
			return unix.Lsetxattr(filepath.Join(r, "d/other"), "user.mark", []byte("x"), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t)
			if err := change(root); err != nil {
				t.Fatal(err)
			}
			settle(t, root)
			if name == "content" {
				at := time.Unix(1000, 5)
				if err := os.Chtimes(filepath.Join(root, "d/other"), at, at); err != nil {
					t.Fatal(err)
				}
			}
			if digest(t, root) == want {
				t.Error("the digest does not tell")
			}
		})
	}
}
