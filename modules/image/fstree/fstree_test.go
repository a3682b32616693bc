package fstree

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/cpio"
)

// lay makes files below dir: a name ending in "/" is a folder, a content that
// begins with "-> " a symlink.
func lay(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case name[len(name)-1] == '/':
			err = os.MkdirAll(path, 0o755)
		case len(content) > 3 && content[:3] == "-> ":
			err = os.Symlink(content[3:], path)
		default:
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, dir string) *Tree {
	t.Helper()
	tree, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestLoadKeepsWhatCounts(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{"usr/bin/tool": "tool", "bin": "-> usr/bin", "empty/": ""})
	if err := errors.Join(
		os.Chmod(filepath.Join(dir, "usr/bin/tool"), 0o4755|os.ModeSetuid),
		os.Link(filepath.Join(dir, "usr/bin/tool"), filepath.Join(dir, "usr/bin/again")),
		os.Chmod(dir, 0o700),
	); err != nil {
		t.Fatal(err)
	}
	tree := load(t, dir)
	if e := tree.Get("usr/bin/tool"); e.Mode != unix.S_IFREG|0o4755 || e.Size != 4 || e != tree.Get("usr/bin/again") {
		t.Errorf("%+v", e)
	}
	if e := tree.Get("bin"); !e.IsSymlink() || e.Target != "usr/bin" {
		t.Errorf("%+v", e)
	}
	if e := tree.Get("."); e.Mode != unix.S_IFDIR|0o755 {
		t.Errorf("the root's mode is %o, that of the folder that the tree was in", e.Mode)
	}
	if want := []string{".", "bin", "empty", "usr", "usr/bin", "usr/bin/again", "usr/bin/tool"}; !slices.Equal(tree.Paths(), want) {
		t.Errorf("%q", tree.Paths())
	}
}

// Every entry tells where it is from.
func TestOrigin(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{"usr/a": "a", "usr/b": "b"})
	over := lay(t, t.TempDir(), map[string]string{"usr/b": "other", "usr/link": "-> b"})
	tree := load(t, dir)
	if err := errors.Join(tree.Overlay(over), tree.SetFile("usr/c", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"usr": dir, "usr/a": dir, "usr/b": over, "usr/link": over, "usr/c": ""} {
		if got := tree.Get(name).Origin; got != want {
			t.Errorf("%s is from %q, want %q", name, got, want)
		}
	}
}

// Attributes but for security.capability do not come along, above all not those
// that the build's own machinery sets.
func TestAttributes(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{"file": "x", "capable": "y"})
	capability := []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	if err := errors.Join(
		unix.Setxattr(filepath.Join(dir, "file"), "user.daggerContentHash", []byte("hash"), 0),
		unix.Setxattr(filepath.Join(dir, "capable"), "security.capability", capability, 0),
	); err != nil {
		t.Fatalf("this test needs a file system with extended attributes, and root: %v", err)
	}
	var b bytes.Buffer
	if err := load(t, dir).WriteTar(&b, 1); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), []byte("daggerContentHash")) {
		t.Error("user.daggerContentHash is in the archive")
	}
	r := tar.NewReader(&b)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string(nil)
		if h.Name == "capable" {
			want = map[string]string{"SCHILY.xattr.security.capability": string(capability)}
		}
		if len(h.PAXRecords) != len(want) || h.PAXRecords["SCHILY.xattr.security.capability"] != want["SCHILY.xattr.security.capability"] {
			t.Errorf("%s: %q", h.Name, h.PAXRecords)
		}
	}
}

func TestOverlay(t *testing.T) {
	tree := load(t, lay(t, t.TempDir(), map[string]string{"etc/old": "old", "etc/keep": "keep", "lib": "-> usr/lib", "usr/lib/": ""}))
	tree.Get("etc").Mode = unix.S_IFDIR | 0o700
	tree.Get("etc").UID = 7
	over := lay(t, t.TempDir(), map[string]string{"etc/old": "new", "usr/lib/x/run": "run", "etc/link": "-> old"})
	// Whatever the umask of a checkout, only "executable or not" counts.
	if err := errors.Join(os.Chmod(filepath.Join(over, "etc/old"), 0o600), os.Chmod(filepath.Join(over, "usr/lib/x/run"), 0o770),
		os.Chmod(filepath.Join(over, "usr/lib/x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := tree.Overlay(over); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]uint32{
		"etc/old": unix.S_IFREG | 0o644, "usr/lib/x/run": unix.S_IFREG | 0o755, "usr/lib/x": unix.S_IFDIR | 0o755,
		"etc": unix.S_IFDIR | 0o700, "etc/link": unix.S_IFLNK | 0o777,
	} {
		if e := tree.Get(name); e == nil || e.Mode != mode {
			t.Errorf("%s: %+v, want mode %o", name, e, mode)
		}
	}
	if tree.Get("etc").UID != 7 {
		t.Error("a folder that was there changed its owner")
	}
	if b, err := tree.ReadFile("etc/old", 100); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
	for _, files := range []map[string]string{{"lib/x": "through a symlink"}, {"etc": "a file for a folder"}, {"etc/keep/x": "a folder for a file"}} {
		if err := tree.Overlay(lay(t, t.TempDir(), files)); !errors.Is(err, ErrTree) {
			t.Errorf("%v: %v", files, err)
		}
	}
}

func TestMoveAndEmpty(t *testing.T) {
	tree := load(t, lay(t, t.TempDir(), map[string]string{"var/lib/db/a": "a", "var/lib/dbx": "x", "var/log/l": "l", "usr/": ""}))
	if err := errors.Join(tree.Move("var/lib/db", "usr/lib/db"), tree.Empty("var"), tree.Empty("run")); err != nil {
		t.Fatal(err)
	}
	if want := []string{".", "run", "usr", "usr/lib", "usr/lib/db", "usr/lib/db/a", "var"}; !slices.Equal(tree.Paths(), want) {
		t.Errorf("%q", tree.Paths())
	}
	if err := tree.Move("nothing", "x"); !errors.Is(err, ErrTree) {
		t.Error(err)
	}
	if err := tree.Move("usr", "var"); !errors.Is(err, ErrTree) {
		t.Error(err)
	}
}

// What two folders with the same files give is the same, whatever the times,
// the order of creation and the folders' paths.
func TestArchivesAreFunctionsOfTheTree(t *testing.T) {
	files := map[string]string{"a": "1", "a-b": "2", "a.d/x": "3", "z/": "", "l": "-> a"}
	var tars, cpios [2]bytes.Buffer
	for i := range 2 {
		dir := t.TempDir()
		for name, content := range files { // in another order each time
			lay(t, dir, map[string]string{name: content})
		}
		tree := load(t, dir)
		if err := errors.Join(tree.WriteTar(&tars[i], 1234), tree.WriteCpio(&cpios[i])); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(tars[0].Bytes(), tars[1].Bytes()) || !bytes.Equal(cpios[0].Bytes(), cpios[1].Bytes()) {
		t.Error("two archives of the same files differ")
	}
}

func TestTarHardLinks(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{"b": "content"})
	if err := os.Link(filepath.Join(dir, "b"), filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := load(t, dir).WriteTar(&b, 1); err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(&b)
	var got []string
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, string(h.Typeflag)+h.Name+h.Linkname)
	}
	if want := []string{"5./", "0a", "1ba"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCpioIsForRoot(t *testing.T) {
	dir := lay(t, t.TempDir(), map[string]string{"su": "x", "ln": "-> su"})
	if err := os.Chmod(filepath.Join(dir, "su"), 0o755|os.ModeSetuid|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := load(t, dir).WriteCpio(&b); err != nil {
		t.Fatal(err)
	}
	r := cpio.NewReader(&b)
	modes := map[string]uint32{}
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		modes[h.Name] = h.Mode
	}
	if modes["su"] != unix.S_IFREG|0o755 || modes["ln"] != unix.S_IFLNK|0o777 {
		t.Errorf("%v", modes)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "s")}); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); !errors.Is(err, ErrTree) {
		t.Errorf("a socket: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
