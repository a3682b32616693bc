package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/debian/debtest"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// native makes a native source package and its selection.
func native(t *testing.T) (*lock.Selection, string) {
	t.Helper()
	dir := t.TempDir()
	tarball := debtest.Compress(t, ".xz", debtest.Tar(t, []debtest.File{
		debtest.Dir("hello-1"), debtest.Regular("hello-1/README", "hello"), debtest.Dir("hello-1/debian"),
		debtest.Regular("hello-1/debian/changelog", "hello (1) unstable; urgency=low\n\n  * One.\n\n -- A B <a@example.org>  Fri, 02 Jan 2026 03:04:05 +0000\n"),
	}))
	dsc := fmt.Appendf(nil, "Format: 3.0 (native)\nSource: hello\nVersion: 1\nMaintainer: A B <a@example.org>\nBinary: hello\nArchitecture: any\n"+
		"Checksums-Sha256:\n %x %d hello_1.tar.xz\nFiles:\n 0123456789abcdef0123456789abcdef %d hello_1.tar.xz\n", sha256.Sum256(tarball), len(tarball), len(tarball))
	s := &lock.Selection{Name: "hello", Source: &lock.SelectedSource{Name: "hello", Version: "1"}}
	for name, data := range map[string][]byte{"hello_1.tar.xz": tarball, "hello_1.dsc": dsc} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		s.Source.Files = append(s.Source.Files, lock.File{Path: "pool/" + name, Size: int64(len(data)), SHA256: fmt.Sprintf("%x", sha256.Sum256(data))})
	}
	return s, dir
}

func TestUnpack(t *testing.T) {
	if _, err := exec.LookPath("dpkg-source"); err != nil {
		t.Fatalf("the test unpacks with this machine's dpkg-source (Debian: dpkg-dev): %v", err)
	}
	s, files := native(t)
	out := filepath.Join(t.TempDir(), "tree")
	var log bytes.Buffer
	if err := Unpack(context.Background(), s, files, out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if got, err := os.ReadFile(filepath.Join(out, "README")); err != nil || string(got) != "hello" {
		t.Errorf("unpacked %q, %v", got, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *lock.Selection, dir string){
		"changed file": func(t *testing.T, _ *lock.Selection, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "hello_1.tar.xz"), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"other version":  func(_ *testing.T, s *lock.Selection, _ string) { s.Source.Version = "2" },
		"no description": func(_ *testing.T, s *lock.Selection, _ string) { s.Source.Files = without(s.Source.Files, ".dsc") },
		"file that the lock lacks": func(_ *testing.T, s *lock.Selection, _ string) {
			s.Source.Files = without(s.Source.Files, ".tar.xz")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, files := native(t)
			change(t, s, files)
			out := filepath.Join(t.TempDir(), "tree")
			if err := Unpack(context.Background(), s, files, out, os.Stderr); !errors.Is(err, ErrContent) {
				t.Errorf("got %v, want ErrContent", err)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("it was unpacked")
			}
		})
	}
}

func without(files []lock.File, ending string) []lock.File {
	var kept []lock.File
	for _, f := range files {
		if !strings.HasSuffix(f.Path, ending) {
			kept = append(kept, f)
		}
	}
	return kept
}

func FuzzDescribes(f *testing.F) {
	f.Add([]byte("Source: a\nVersion: 1\nChecksums-Sha256:\n 00 1 a.tar\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := &lock.SelectedSource{Name: "a", Version: "1", Files: []lock.File{{Path: "pool/a.tar", Size: 1, SHA256: "00"}}}
		if err := describes(text, s); err != nil && !errors.Is(err, ErrContent) {
			t.Fatal(err)
		}
	})
}
