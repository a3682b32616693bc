package bootstrap

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/treedigest"
)

// spoiled makes a tree with what one run leaves: each thing holds mark.
func spoiled(t *testing.T, mark string, age time.Duration) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name, content string) string {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, d := range dropped {
		put(d.pattern, mark) // "*" is a name as well
	}
	put("etc/machine-id", mark)
	put("usr/lib/python3/__pycache__/x.pyc", mark)
	put("etc/shadow", fmt.Sprintf("root:*:%d:0:99999:7:::\nx:!:%d::::::\nempty:*:::::::\n", len(mark)*1000, age/time.Hour))
	old := put("usr/bin/old", "kept")
	if err := os.Chtimes(old, debtest.Date.Add(-time.Hour), debtest.Date.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	made := put("usr/bin/made", "made")
	if err := os.Chtimes(made, debtest.Date.Add(age), debtest.Date.Add(age)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("old", filepath.Join(root, "usr/bin/link")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestNormalise(t *testing.T) {
	var digests []string
	var root string
	for i, mark := range []string{"one", "another"} {
		root = spoiled(t, mark, time.Duration(i+1)*time.Hour)
		if err := normalise(root, debtest.Date); err != nil {
			t.Fatal(err)
		}
		lines, err := treedigest.Lines(root)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, treedigest.Digest(lines))
	}
	if digests[0] != digests[1] {
		t.Errorf("two runs leave two trees: %v", digests)
	}
	for name, want := range map[string]time.Time{
		"usr/bin/old": debtest.Date.Add(-time.Hour), "usr/bin/made": debtest.Date, "usr/bin/link": debtest.Date, "usr/bin": debtest.Date,
	} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || !info.ModTime().Equal(want) {
			t.Errorf("%s: %v, %v, want %v", name, info.ModTime(), err, want)
		}
	}
	shadow, err := os.ReadFile(filepath.Join(root, "etc/shadow"))
	if err != nil || string(shadow) != "root:*:20455:0:99999:7:::\nx:!:20455::::::\nempty:*:::::::\n" {
		t.Errorf("shadow: %q, %v", shadow, err)
	}
}
