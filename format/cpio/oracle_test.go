//go:build oracle

package cpio

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// GNU cpio unpacks our archives to what we put into them, and we read its
// archives.
func TestGNU(t *testing.T) {
	dir := t.TempDir()
	members := []member{sample[1], sample[3], sample[4], sample[5], sample[6]}
	unpack := exec.Command("cpio", "--extract", "--quiet", "--preserve-modification-time")
	unpack.Dir, unpack.Stdin = dir, bytes.NewReader(archive(t, members))
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for _, m := range members {
		path := filepath.Join(dir, m.Name)
		st, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := uint32(st.Mode().Perm()); got != m.Mode&0o777 {
			t.Errorf("%s: mode %o, want %o", m.Name, got, m.Mode&0o777)
		}
		if m.Mode&TypeMask == TypeRegular {
			if b, err := os.ReadFile(path); err != nil || string(b) != m.content {
				t.Errorf("%s: %q, %v", m.Name, b, err)
			}
			if st.ModTime().Unix() != 0 {
				t.Errorf("%s: time %s", m.Name, st.ModTime())
			}
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "link")); err != nil || target != "file" {
		t.Errorf("link: %q, %v", target, err)
	}

	pack := exec.Command("cpio", "--create", "--quiet", "--format=newc")
	pack.Dir, pack.Stdin = dir, bytes.NewBufferString(".\ndev\nfile\nempty\nlink\n")
	b, err := pack.Output()
	if err != nil {
		t.Fatalf("cpio --create: %v", err)
	}
	r := NewReader(bytes.NewReader(b))
	for _, want := range []string{".", "dev", "file", "empty", "link"} {
		if h, err := r.Next(); err != nil || h.Name != want {
			t.Fatalf("%+v, %v, want %s", h, err, want)
		}
	}
}
