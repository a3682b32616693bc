package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/debian/debtest"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("giving files away needs root: run this test as root")
	}
}

// write puts a package file into a folder and returns its name.
func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".deb")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

var hello = debtest.Package{
	Name: "hello", Version: "1.0-1", Architecture: "amd64", Fields: "Depends: libc6\n",
	Scripts: map[string]string{"postinst": "#!/bin/sh\n"},
	Files: []debtest.File{
		debtest.Dir("usr"), debtest.Dir("usr/bin"), debtest.Program("usr/bin/hello", "hello"),
		debtest.Mode("usr/bin/su", "su", 0o4755),
		debtest.Symlink("usr/bin/hi", "hello"), debtest.Link("usr/bin/hallo", "usr/bin/hello"),
		debtest.Regular("usr/share/doc/hello/copyright", "free"),
	},
}

func TestOpen(t *testing.T) {
	for _, ending := range []string{"", ".gz", ".xz", ".zst"} {
		p := hello
		p.Compression = ending
		d, err := Open(write(t, "hello", p.Build(t)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := d.Control()
		if err != nil || c.Get("Package") != "hello" || c.Get("Depends") != "libc6" {
			t.Errorf("%s: control %q, %v", ending, c, err)
		}
		if !d.Built().Equal(debtest.Date) {
			t.Errorf("%s: built %s", ending, d.Built())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	good := hello.Build(t)
	for name, data := range map[string][]byte{
		"nothing":           nil,
		"no ar":             []byte("!<arch>x"),
		"cut off in header": good[:30],
		"cut off in member": good[:200],
		"two members":       debtest.Ar(debtest.Member{Name: "debian-binary", Content: []byte("2.0\n")}, debtest.Member{Name: "control.tar"}),
		"version 3":         bytes.Replace(good, []byte("2.0\n"), []byte("3.0\n"), 1),
		"other order": debtest.Ar(debtest.Member{Name: "debian-binary", Content: []byte("2.0\n")},
			debtest.Member{Name: "data.tar"}, debtest.Member{Name: "control.tar"}),
		"negative size": bytes.Replace(good, []byte("4         `"), []byte("-4        `"), 1),
	} {
		if _, err := Open(write(t, "bad", data)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
	unknown := debtest.Ar(debtest.Member{Name: "debian-binary", Content: []byte("2.0\n")},
		debtest.Member{Name: "control.tar.lzo"}, debtest.Member{Name: "data.tar.lzo"})
	d, err := Open(write(t, "lzo", unknown))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Control(); !errors.Is(err, ErrFormat) {
		t.Errorf("unknown compression: %v", err)
	}
}

func TestUnpack(t *testing.T) {
	needRoot(t)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	base := debtest.Package{Name: "base", Version: "1", Architecture: "all", Compression: ".xz", Files: []debtest.File{
		debtest.Dir("usr"), debtest.Dir("usr/bin"), debtest.Symlink("bin", "usr/bin"),
		debtest.Regular("usr/bin/hello", "replaced"),
	}}
	later := debtest.Package{Name: "later", Version: "1", Architecture: "all", Compression: ".zst", Files: []debtest.File{
		debtest.Dir("bin"), debtest.Program("bin/through", "the link"),
	}}
	root := t.TempDir()
	names := []string{write(t, "base", base.Build(t)), write(t, "hello", hello.Build(t)), write(t, "later", later.Build(t))}
	unpacked, err := Unpack(names, root, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if !unpacked.Newest.Equal(debtest.Date) {
		t.Errorf("newest: %s", unpacked.Newest)
	}
	checkOwners(t, names, unpacked)
	for name, want := range map[string]string{
		"usr/bin/hello": "-rwxr-xr-x hello", "usr/bin/hi": "Lrwxrwxrwx hello", "usr/bin/hallo": "-rwxr-xr-x hello",
		"usr/bin/su": "urwxr-xr-x su", "usr/bin/through": "-rwxr-xr-x the link", "usr/share": "drwxr-xr-x ",
		"bin": "Lrwxrwxrwx ", "usr/share/doc/hello/copyright": "-rw-r--r-- free",
	} {
		path := filepath.Join(root, name)
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		text, _ := os.ReadFile(path)
		if got := info.Mode().String() + " " + string(text); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if info.Mode()&os.ModeSymlink == 0 && !info.ModTime().Equal(debtest.Date) {
			t.Errorf("%s: of %s", name, info.ModTime())
		}
	}
	one, _ := os.Stat(filepath.Join(root, "usr/bin/hello"))
	two, _ := os.Stat(filepath.Join(root, "usr/bin/hallo"))
	if !os.SameFile(one, two) {
		t.Error("a hard link became two files")
	}
}

// checkOwners reads the database of TestUnpack's packages again.
func checkOwners(t *testing.T, names []string, unpacked Unpacked) {
	t.Helper()
	dir := t.TempDir()
	if err := WriteDatabase(dir, names, unpacked); err != nil {
		t.Fatal(err)
	}
	d, err := dpkg.Read(dpkg.Dir(dir))
	if err != nil || len(d.Packages()) != 3 {
		t.Fatalf("%v, %v", d.Packages(), err)
	}
	for path, want := range map[string]string{"/usr/bin/hello": "hello", "/bin/through": "later", "/bin": "later", "/etc": ""} {
		if p, _ := d.Owner(path); p.Name != want {
			t.Errorf("%s belongs to %q, want %q", path, p.Name, want)
		}
	}
}

// TestUnpackStaysInside tries the ways out of a tree.
func TestUnpackStaysInside(t *testing.T) {
	needRoot(t)
	outside := t.TempDir()
	raw := func(h tar.Header, content string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return debtest.Ar(debtest.Member{Name: "debian-binary", Content: []byte("2.0\n")},
			debtest.Member{Name: "control.tar", Content: debtest.Tar(t, nil)}, debtest.Member{Name: "data.tar", Content: b.Bytes()})
	}
	for name, packages := range map[string][][]byte{
		"dots":          {raw(tar.Header{Name: "./../evil", Typeflag: tar.TypeReg, Mode: 0o644}, "x")},
		"dots inside":   {raw(tar.Header{Name: "./a/../../evil", Typeflag: tar.TypeReg, Mode: 0o644}, "x")},
		"absolute":      {raw(tar.Header{Name: "//evil", Typeflag: tar.TypeReg, Mode: 0o644}, "x")},
		"newline":       {raw(tar.Header{Name: "./a\nb", Typeflag: tar.TypeReg, Mode: 0o644}, "x")},
		"device":        {raw(tar.Header{Name: "./sda", Typeflag: tar.TypeBlock, Mode: 0o644, Devmajor: 8}, "")},
		"attribute":     {raw(tar.Header{Name: "./a", Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "y"}}, "x")},
		"link out":      {raw(tar.Header{Name: "./a", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"}, "")},
		"through links": {debtest.Package{Name: "a", Version: "1", Architecture: "all", Files: []debtest.File{debtest.Symlink("out", outside)}}.Build(t), debtest.Package{Name: "b", Version: "1", Architecture: "all", Files: []debtest.File{debtest.Regular("out/evil", "x")}}.Build(t)},
		"through dots": {debtest.Package{Name: "a", Version: "1", Architecture: "all", Files: []debtest.File{debtest.Symlink("out", "../..")}}.Build(t),
			debtest.Package{Name: "b", Version: "1", Architecture: "all", Files: []debtest.File{debtest.Regular("out/evil", "x")}}.Build(t)},
		"a directory in the way": {hello.Build(t), debtest.Package{Name: "b", Version: "1", Architecture: "all", Files: []debtest.File{debtest.Regular("usr/bin", "x")}}.Build(t)},
		"cut off":                {cutOff(t)},
	} {
		t.Run(name, func(t *testing.T) {
			var files []string
			for i, data := range packages {
				files = append(files, write(t, fmt.Sprint(i), data))
			}
			if _, err := Unpack(files, t.TempDir(), Filter{}); err == nil {
				t.Error("it was unpacked")
			}
			if entries, _ := os.ReadDir(outside); len(entries) > 0 {
				t.Errorf("it wrote outside: %v", entries)
			}
		})
	}
}

// cutOff is a package whose data stops before the checksum.
func cutOff(t *testing.T) []byte {
	data := debtest.Compress(t, ".xz", debtest.Tar(t, hello.Files))
	return debtest.Ar(debtest.Member{Name: "debian-binary", Content: []byte("2.0\n")},
		debtest.Member{Name: "control.tar", Content: debtest.Tar(t, nil)},
		debtest.Member{Name: "data.tar.xz", Content: data[:len(data)-40]})
}

func TestUnpackFilters(t *testing.T) {
	needRoot(t)
	f, err := ParseFilter([]string{"-/usr/share/*", "+/usr/share/doc/*/copyright", "-/usr/bin/h*", "+/usr/bin/h?"})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if _, err := Unpack([]string{write(t, "hello", hello.Build(t))}, root, f); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			got = append(got, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "/usr/bin/hi /usr/bin/su /usr/share/doc/hello/copyright"; strings.Join(got, " ") != want {
		t.Errorf("unpacked %v, want %s", got, want)
	}
}

func TestFilter(t *testing.T) {
	f, err := ParseFilter([]string{"-/a/*", "+/a/b/[xy]*/c", "-/q[!0-9]"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path      string
		dir, want bool
	}{
		{"/a", true, true}, {"/a/z", false, false}, {"/a/z", true, false}, {"/a/b", true, true},
		{"/a/b/x1/c", false, true}, {"/a/b/x1", true, true}, {"/a/b/z/c", false, false}, {"/b", false, true},
		{"/qa", false, false}, {"/q1", false, true}, {"/qab", false, true},
	} {
		if got := f.Keep(tt.path, tt.dir); got != tt.want {
			t.Errorf("%s (directory: %v): %v", tt.path, tt.dir, got)
		}
	}
	for _, bad := range []string{"", "/a", "-a", "*", "-/[", "-/[]"} {
		if _, err := ParseFilter([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(hello.Build(f))
	zst := hello
	zst.Compression = ".zst"
	f.Add(zst.Build(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := readAr(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		for _, m := range members {
			if m.offset < 0 || m.size < 0 || m.offset+m.size > int64(len(data)) {
				t.Fatalf("member %+v of %d bytes", m, len(data))
			}
		}
		d, err := Open(write(t, "fuzz", data))
		if err != nil {
			return
		}
		defer d.Close()
		if c, err := d.Control(); err == nil && len(c) == 0 {
			t.Fatal("an empty control paragraph")
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	f.Add("-/usr/share/*", "/usr/share/doc")
	f.Add("+/[!a]?*", "/b")
	f.Fuzz(func(t *testing.T, rule, path string) {
		if filter, err := ParseFilter([]string{rule}); err == nil {
			filter.Keep(path, true)
			filter.Keep(path, false)
		}
	})
}
