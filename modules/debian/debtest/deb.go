// Package debtest makes Debian packages and signed archives for tests.
package debtest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"path"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Date is the date of everything that this package makes.
var Date = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// File is a member of a package's data.tar.
type File struct {
	Path string
	// Mode has the type bits of tar: see the constructors.
	Header  tar.Header
	Content []byte
}

// Regular is a plain file.
func Regular(path, content string) File { return Mode(path, content, 0o644) }

// Program is an executable file.
func Program(path, content string) File { return Mode(path, content, 0o755) }

// Mode is a plain file with a mode.
func Mode(path, content string, mode int64) File {
	return File{path, tar.Header{Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))}, []byte(content)}
}

// Dir is a folder.
func Dir(path string) File {
	return File{path + "/", tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}, nil}
}

// Symlink is a symbolic link.
func Symlink(path, target string) File {
	return File{path, tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: target}, nil}
}

// Link is a hard link.
func Link(path, target string) File {
	return File{path, tar.Header{Typeflag: tar.TypeLink, Mode: 0o644, Linkname: "./" + target}, nil}
}

// Package is a binary package.
type Package struct {
	Name, Version, Architecture string
	// Fields are further lines of the control file.
	Fields string
	// Scripts are further files of control.tar, by name.
	Scripts map[string]string
	Files   []File
	// Compression is "", ".gz", ".xz" or ".zst".
	Compression string
}

// Control returns the package's control paragraph.
func (p Package) Control() string {
	s := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Test <test@example.org>\nDescription: a test\n",
		p.Name, p.Version, p.Architecture)
	if p.Fields != "" {
		s += strings.TrimSpace(p.Fields) + "\n"
	}
	return s
}

// Build returns the package file.
func (p Package) Build(t testing.TB) []byte {
	t.Helper()
	files := []File{Regular("control", p.Control())}
	names := make([]string, 0, len(p.Scripts))
	for name := range p.Scripts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		files = append(files, Program(name, p.Scripts[name]))
	}
	return Ar(
		Member{"debian-binary", []byte("2.0\n")},
		Member{"control.tar" + p.Compression, Compress(t, p.Compression, Tar(t, files))},
		Member{"data.tar" + p.Compression, Compress(t, p.Compression, Tar(t, withParents(p.Files)))},
	)
}

// withParents adds the folders that files lie in, before them, as real packages
// have them.
func withParents(files []File) []File {
	var list []File
	have := map[string]bool{".": true}
	var parents func(name string)
	parents = func(name string) {
		if dir := path.Dir(name); !have[dir] {
			parents(dir)
			have[dir] = true
			list = append(list, Dir(dir))
		}
	}
	for _, f := range files {
		name := path.Clean(f.Path)
		parents(name)
		if f.Header.Typeflag != tar.TypeDir || !have[name] {
			list = append(list, f)
		}
		if f.Header.Typeflag == tar.TypeDir {
			have[name] = true
		}
	}
	return list
}

// Tar makes a tar archive, with the owner root and paths that start with "./".
func Tar(t testing.TB, files []File) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := f.Header
		h.Name, h.ModTime, h.Format = "./"+f.Path, Date, tar.FormatGNU
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Member is a member of an ar archive.
type Member struct {
	Name    string
	Content []byte
}

// Ar makes an ar archive.
func Ar(members ...Member) []byte {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range members {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.Name, Date.Unix(), 0, 0, "100644", len(m.Content))
		b.Write(m.Content)
		if len(m.Content)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// Compress packs data by the ending of a name.
func Compress(t testing.TB, ending string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w interface {
		Write([]byte) (int, error)
		Close() error
	}
	var err error
	switch ending {
	case "":
		return data
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".xz":
		w, err = xz.NewWriter(&b)
	case ".zst":
		w, err = zstd.NewWriter(&b)
	default:
		t.Fatalf("compression %q", ending)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
