package difference_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/compare/difference"
)

// deb is a Debian package; a test changes one thing.
type deb struct {
	files []tar.Header // contents stand in Linkname, which regular files have none of
	time  int          // of the outer members
	level zstd.EncoderLevel
	end   string // after the inner archive
}

func newDeb() *deb {
	at := time.Unix(epoch, 0)
	return &deb{time: epoch, level: zstd.SpeedDefault, files: []tar.Header{
		{Name: "./usr/bin/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: at},
		{Name: "./usr/bin/tool", Typeflag: tar.TypeReg, Mode: 0o755, ModTime: at, Linkname: "\x00\x01\x02binary"},
		{Name: "./usr/bin/link", Typeflag: tar.TypeSymlink, Mode: 0o777, ModTime: at, Linkname: "tool"},
		{Name: "./usr/share/doc", Typeflag: tar.TypeReg, Mode: 0o644, ModTime: at, Linkname: "one\ntwo\n"},
	}}
}

func (d *deb) bytes(t testing.TB) []byte {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	for _, h := range d.files {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text, h.Linkname = h.Linkname, ""
			h.Size = int64(len(text))
		}
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, text)
		must(t, err)
	}
	must(t, w.Close())
	data.WriteString(d.end)
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(d.level))
	must(t, err)
	out := "!<arch>\n"
	for _, m := range [][2]string{{"debian-binary", "2.0\n"}, {"data.tar.zst", string(e.EncodeAll(data.Bytes(), nil))}} {
		out += fmt.Sprintf("%-16s%-12d%-6d%-6d%-8o%-10d`\n%s%s", m[0], d.time, 0, 0, 0o100644, len(m[1]), m[1], strings.Repeat("\n", len(m[1])%2))
	}
	return []byte(out)
}

const inner = "x.deb > data.tar.zst > content"

// TestArchives changes one thing of a package: the member, what of it and why are found.
func TestArchives(t *testing.T) {
	base := newDeb().bytes(t)
	for name, c := range map[string]struct {
		change     func(*deb)
		path, what string
		class      cause.Class
	}{
		"one byte":     {func(d *deb) { d.files[1].Linkname = "\x00\x01\x03binary" }, inner + " > ./usr/bin/tool", "", cause.Content},
		"a line":       {func(d *deb) { d.files[3].Linkname = "one\n2\n" }, inner + " > ./usr/share/doc", "line 2", cause.Content},
		"a time":       {func(d *deb) { d.files[1].ModTime = time.Unix(epoch+1, 0) }, inner + " > ./usr/bin/tool", "mtime", cause.Timestamp},
		"a mode":       {func(d *deb) { d.files[1].Mode = 0o4755 }, inner + " > ./usr/bin/tool", "mode", cause.Permission},
		"an owner":     {func(d *deb) { d.files[0].Uname = "root" }, inner + " > ./usr/bin/", "owner", cause.Permission},
		"a target":     {func(d *deb) { d.files[2].Linkname = "loot" }, inner + " > ./usr/bin/link", "target", cause.Content},
		"a kind":       {func(d *deb) { d.files[2].Typeflag = tar.TypeLink }, inner + " > ./usr/bin/link", "type", cause.Content},
		"one more":     {func(d *deb) { d.files = append(d.files, tar.Header{Name: "x", Typeflag: tar.TypeFifo}) }, inner + " > x", "", cause.OneSide},
		"the order":    {func(d *deb) { slices.Reverse(d.files) }, inner, "order of 4 entries, from number 1 on", cause.Order},
		"a capability": {func(d *deb) { d.files[1].PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "x"} }, inner + " > ./usr/bin/tool", "xattr security.capability", cause.Permission},
		"another form": {func(d *deb) { d.files[1].Format = tar.FormatGNU }, inner, "", cause.Content},
		"what follows": {func(d *deb) { d.end = "something" }, inner, "size", cause.Content},
		"compression": {func(d *deb) {
			d.level = zstd.SpeedBestCompression
			d.files[3].Linkname = strings.Repeat("one two ", 999)
		}, "", "", ""},
		"outer time": {func(d *deb) { d.time++ }, "x.deb > debian-binary", "mtime", cause.Timestamp},
	} {
		t.Run(name, func(t *testing.T) {
			a, d := base, newDeb()
			c.change(d)
			if name == "compression" { // of something that can be compressed in two ways
				other := newDeb()
				other.files = d.files
				a, c.path, c.what, c.class = other.bytes(t), "x.deb > data.tar.zst", "zstd", cause.Compression
			}
			r := differ(t, a, d.bytes(t))
			for _, f := range r.Findings {
				if f.Location() == c.path && f.What == c.what && f.Class == c.class {
					return
				}
			}
			t.Errorf("want %s, %q, %s in\n%s", c.path, c.what, c.class, dump(r))
		})
	}
	if r := differ(t, base, bytes.Clone(base)); !r.Same() {
		t.Errorf("the same package differs:\n%s", dump(r))
	}
}

func differ(t *testing.T, a, b []byte) *difference.Result {
	t.Helper()
	node := func(text []byte) *component.Node {
		return component.New(component.Artifact, "x.deb", content.Bytes(text))
	}
	r, err := difference.Compare(context.Background(), node(a), node(b), difference.Options{})
	must(t, err)
	return r
}

// TestDebianPackage: of two packages that dpkg-deb makes, the file that differs is found.
func TestDebianPackage(t *testing.T) {
	var packages [][]byte
	for _, text := range []string{"one", "two"} {
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, "p/DEBIAN"), 0o755))
		must(t, os.MkdirAll(filepath.Join(dir, "p/usr/share"), 0o755))
		control := "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: X <x@example.org>\nDescription: x\n"
		must(t, os.WriteFile(filepath.Join(dir, "p/DEBIAN/control"), []byte(control), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "p/usr/share/file"), []byte(text), 0o644))
		t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(epoch))
		for _, name := range []string{"p/usr/share/file", "p/usr/share", "p/usr", "p", "p/DEBIAN/control", "p/DEBIAN"} {
			must(t, os.Chtimes(filepath.Join(dir, name), time.Unix(epoch, 0), time.Unix(epoch, 0)))
		}
		run(t, "dpkg-deb", "--root-owner-group", "--build", filepath.Join(dir, "p"), filepath.Join(dir, "x.deb"))
		b, err := os.ReadFile(filepath.Join(dir, "x.deb"))
		must(t, err)
		packages = append(packages, b)
	}
	r := differ(t, packages[0], packages[1])
	if len(r.Findings) == 0 || r.Findings[0].Location() != "x.deb > data.tar.xz > content > ./usr/share/file" {
		t.Errorf("found\n%s", dump(r))
	}
}
