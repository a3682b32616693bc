package component

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/format/gpt"
)

// seeds are small artefacts of formats that this repository can write, and the
// beginnings of others.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var archive, packed, zipped bytes.Buffer
	w := cpio.NewWriter(&archive)
	must(w.WriteHeader(&cpio.Header{Name: "init", Mode: cpio.TypeRegular | 0o755, Size: 4}))
	_, err := w.Write([]byte("\x7fELF"))
	must(err)
	must(w.Close())
	z, err := zstd.NewWriter(&packed)
	must(err)
	_, err = z.Write(archive.Bytes())
	must(err)
	must(z.Close())
	g := gzip.NewWriter(&zipped)
	_, err = g.Write(archive.Bytes())
	must(err)
	must(g.Close())

	table := gpt.Table{SectorSize: 512, DiskSize: 1 << 20, Partitions: []gpt.Partition{
		{Number: 1, Type: gpt.TypeESP, ID: gpt.GUID{1}, Label: "esp", Start: 64 << 10, Size: 64 << 10},
	}}
	disk := make(buffer, table.DiskSize)
	must(table.Write(disk))

	erofs := make([]byte, 8192)
	binary.LittleEndian.PutUint32(erofs[1024:], 0xe0f5e1e2)
	fat := make([]byte, 64<<10)
	copy(fat, "\xeb\x3c\x90mkfs.fat\x00\x02\x01\x01\x00\x02\x70\x00\x80\x00\xf8\x01\x00")
	copy(fat[510:], "\x55\xaa")
	return [][]byte{
		archive.Bytes(), packed.Bytes(), zipped.Bytes(), disk, erofs, fat,
		append([]byte("MZ"), make([]byte, 512)...), append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 512)...),
		append([]byte("verity\x00\x00"), make([]byte, 8192)...), []byte("\xfd7zXZ\x00\x00\x04"),
		tarSeed(t), []byte("!<arch>\na               0           0     0     100644  4         `\ntext"),
	}
}

// tarSeed has a member of each kind, and two of one name.
func tarSeed(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "a #2", Typeflag: tar.TypeReg}, {Name: "a", Typeflag: tar.TypeReg}, {Name: "a", Typeflag: tar.TypeReg}, {Name: "a #3", Typeflag: tar.TypeReg},
		{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a", PAXRecords: map[string]string{paxAttribute + "user.x": "y"}},
		{Name: "d", Typeflag: tar.TypeDir}, {Name: "c", Typeflag: tar.TypeChar, Devmajor: 1},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// buffer is a disk in memory.
type buffer []byte

func (b buffer) WriteAt(p []byte, off int64) (int, error) { return copy(b[off:], p), nil }

// FuzzExpand goes through whatever can be opened. Nothing of it may panic, end
// beyond its limits, or claim bytes that cannot be read.
func FuzzExpand(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		left := 500 // components to look at
		visit(t, New(Artifact, "a", content.Bytes(data)), 0, &left)
	})
}

func visit(t *testing.T, n *Node, depth int, left *int) {
	if *left--; *left < 0 || depth > MaxDepth {
		return
	}
	e, err := n.Expand()
	if err != nil || e == nil {
		return // it is compared as bytes
	}
	if e.Layout != nil {
		_ = e.Layout(func(LayoutItem) bool { return true })
	}
	seen := map[string]bool{}
	for _, child := range e.Children {
		if seen[child.Name] {
			t.Errorf("%s has two children %q", e.Format, child.Name)
		}
		seen[child.Name] = true
		if child.Content != nil && child.Content.Size() < 1<<20 {
			if _, err := io.Copy(io.Discard, content.Reader(child.Content)); err != nil && !e.Wraps && e.Format == "gpt" {
				t.Errorf("%s: %q cannot be read: %v", e.Format, child.Name, err)
			}
		}
		visit(t, child, depth+1, left)
	}
}

// TestUniqueNames: each member can be found, also where a name looks like a numbered one.
func TestUniqueNames(t *testing.T) {
	e, err := New(Artifact, "a", content.Bytes(tarSeed(t))).Expand()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range e.Children {
		got = append(got, n.Name)
	}
	if want := []string{"a #2", "a", "a #3", "a #3 #2", "l", "d", "c"}; !slices.Equal(got, want) {
		t.Errorf("the members are %q, want %q", got, want)
	}
}

// TestExpand: what the seeds are is recognised.
func TestExpand(t *testing.T) {
	formats := map[string]bool{}
	all := seeds(t)
	for _, s := range append(all[:4:4], all[len(all)-2:]...) {
		e, err := New(Artifact, "a", content.Bytes(s)).Expand()
		if err != nil || e == nil || len(e.Children) == 0 {
			t.Fatalf("a seed is no component: %v", err)
		}
		formats[e.Format] = true
	}
	for _, want := range []string{"gpt", "gzip", "tar", "ar"} {
		if !formats[want] {
			t.Errorf("no %s among %v", want, formats)
		}
	}
}
