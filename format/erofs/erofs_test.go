package erofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// mkfs makes an image of tree with mkfs.erofs.
func mkfs(t testing.TB, tree string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("mkfs.erofs")
	if err != nil {
		t.Skip("needs mkfs.erofs (package erofs-utils)")
	}
	out := filepath.Join(t.TempDir(), "image")
	cmd := exec.Command(program, append(append([]string{"--quiet", "-T1700000000", "-U00000000-0000-0000-0000-000000000001"}, args...), out, tree)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs %v: %v\n%s", args, err, text)
	}
	return out
}

// sampleTree writes files of every kind that the layouts treat differently.
func sampleTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	text := func(n int) []byte {
		var b bytes.Buffer
		for b.Len() < n {
			fmt.Fprintf(&b, "line %d of a text, %d\n", b.Len(), random.IntN(50))
		}
		return b.Bytes()[:n]
	}
	write := func(name string, b []byte) {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, b, 0o644))
	}
	for _, n := range []int{0, 1, 31, 100, 4095, 4096, 4097, 8192, 65536, 65537, 1 << 20, 3<<20 + 17} {
		write(fmt.Sprintf("text/%d", n), text(n))
		write(fmt.Sprintf("noise/%d", n), noise(n))
		write(fmt.Sprintf("zero/%d", n), make([]byte, n))
	}
	write("mixed", slices.Concat(text(100_000), noise(70_000), make([]byte, 300_000), text(9_999), noise(123)))
	long := text(1 << 19)
	write("twin/a", slices.Concat(noise(5000), long))
	write("twin/b", slices.Concat(noise(9000), long))
	for n := range 700 {
		write(fmt.Sprintf("many/a rather long name of a file, number %04d", n), []byte{byte(n)})
	}
	must(t, os.Symlink("../text/100", filepath.Join(dir, "many/link")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(t, os.Chmod(filepath.Join(dir, "mixed"), 0o4755))
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) *Image {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	must(t, err)
	img, err := Open(f, info.Size())
	must(t, err)
	return img
}

// TestImages reads images in each layout that mkfs.erofs writes and compares
// them with the tree they were made of.
func TestImages(t *testing.T) {
	tree := sampleTree(t)
	for _, args := range []string{
		"",
		"-Enoinline_data",
		"-b1024",
		"--chunksize=65536",
		"--chunksize=4096 -Eforce-chunk-indexes",
		"-zlz4",
		"-zlz4hc",
		"-zlz4hc -C65536",
		"-zlz4hc,level=3 -C1048576",
		"-zlz4hc -Elegacy-compress",
		"-zlz4hc -Eztailpacking",
		"-zlz4hc -Efragments -C32768",
		"-zlz4hc -Eall-fragments -C32768",
		"-zlz4hc -Ededupe",
		"-zlz4hc -Eall-fragments,dedupe,ztailpacking -C65536",
		"-zlz4hc:zstd,3 -C65536",
		"-zdeflate,9 -C65536",
		"-zzstd,12 -C65536 -Eztailpacking",
		"-zlz4hc -b1024",
		"-Eforce-inode-extended",
		"--xattr-prefix=user.mango --xattr-prefix=trusted.",
		"-zlz4hc -Efragments --xattr-prefix=user.mango",
	} {
		t.Run(strings.ReplaceAll(args, " ", "_"), func(t *testing.T) {
			img := open(t, mkfs(t, tree, strings.Fields(args)...))
			root, err := img.Root()
			must(t, err)
			if n := compareTree(t, tree, root); n < 740 {
				t.Errorf("only %d entries seen", n)
			}
		})
	}
}

func compareTree(t *testing.T, path string, dir *Inode) int {
	t.Helper()
	entries, err := dir.ReadDir()
	must(t, err)
	want, err := os.ReadDir(path)
	must(t, err)
	if len(entries) != len(want) {
		t.Fatalf("%s: %d entries, want %d", path, len(entries), len(want))
	}
	seen := 0
	for n, e := range entries {
		if e.Name != want[n].Name() {
			t.Fatalf("%s: entry %d is %q, want %q", path, n, e.Name, want[n].Name())
		}
		inode, err := dir.img.Inode(e.NID)
		must(t, err)
		seen++
		full := filepath.Join(path, e.Name)
		compareInode(t, full, inode)
		if inode.IsDir() {
			seen += compareTree(t, full, inode)
		}
	}
	return seen
}

func compareInode(t *testing.T, path string, inode *Inode) {
	t.Helper()
	var st syscall.Stat_t
	must(t, syscall.Lstat(path, &st))
	if inode.Mode != st.Mode || inode.UID != st.Uid || uint64(inode.Links) != st.Nlink && !inode.IsDir() {
		t.Errorf("%s: mode %o uid %d links %d, want %o %d %d", path, inode.Mode, inode.UID, inode.Links, st.Mode, st.Uid, st.Nlink)
	}
	if inode.Mtime != 1700000000 {
		t.Errorf("%s: mtime %d", path, inode.Mtime)
	}
	switch {
	case inode.IsSymlink():
		want, err := os.Readlink(path)
		must(t, err)
		if got, err := inode.Readlink(); err != nil || got != want {
			t.Errorf("%s: link to %q, %v, want %q", path, got, err, want)
		}
	case inode.IsRegular():
		want, err := os.ReadFile(path)
		must(t, err)
		got, err := io.ReadAll(io.NewSectionReader(inode.Open(), 0, inode.Size))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s: content differs (%d bytes, %v)", path, len(got), inode.Layout)
		}
		compareWritten(t, path, inode, want)
		compareRandomAccess(t, path, inode, want)
	}
}

// compareWritten wants the whole content written, and a writer's error, with as much as the
// writer took, returned.
func compareWritten(t *testing.T, path string, inode *Inode, want []byte) {
	t.Helper()
	var all bytes.Buffer
	if n, err := inode.Open().WriteTo(&all); err != nil || n != int64(len(want)) || !bytes.Equal(all.Bytes(), want) {
		t.Fatalf("%s: WriteTo: %d of %d bytes, %v; what is written is the content: %v", path, n, len(want), err, bytes.Equal(all.Bytes(), want))
	}
	if len(want) == 0 {
		return
	}
	full := &fullDisk{room: len(want) - 1}
	if n, err := inode.Open().WriteTo(full); !errors.Is(err, syscall.ENOSPC) || n != int64(len(want)-1) || !bytes.Equal(full.content, want[:n]) {
		t.Fatalf("%s: WriteTo where there is no room for the last byte: %d of %d bytes, %v", path, n, len(want), err)
	}
}

// fullDisk is a writer that has room for so many bytes.
type fullDisk struct {
	content []byte
	room    int
}

func (d *fullDisk) Write(b []byte) (int, error) {
	n := min(len(b), d.room-len(d.content))
	d.content = append(d.content, b[:n]...)
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// TestWriteToUnreadable: content that cannot be read is not written, and the error returned.
func TestWriteToUnreadable(t *testing.T) {
	tree := sampleTree(t)
	for _, args := range []string{"-Enoinline_data", "-zlz4hc"} {
		file, err := os.ReadFile(mkfs(t, tree, args))
		must(t, err)
		broken := &brokenDisk{bad: -1, content: bytes.NewReader(file)}
		img, err := Open(broken, int64(len(file)))
		must(t, err)
		inode := find(t, img, "mixed")
		x, err := inode.ExtentAt(0)
		must(t, err)
		broken.bad = x.Physical
		if n, err := inode.Open().WriteTo(io.Discard); !errors.Is(err, syscall.EIO) || n != 0 {
			t.Errorf("%s: %d bytes, %v", args, n, err)
		}
	}
}

// brokenDisk is a disk with a byte that cannot be read.
type brokenDisk struct {
	content io.ReaderAt
	bad     int64
}

func (d *brokenDisk) ReadAt(b []byte, off int64) (int, error) {
	if off <= d.bad && d.bad < off+int64(len(b)) {
		return 0, syscall.EIO
	}
	return d.content.ReadAt(b, off)
}

// find is the file in the root folder with this name.
func find(t *testing.T, img *Image, name string) *Inode {
	t.Helper()
	root, err := img.Root()
	must(t, err)
	entries, err := root.ReadDir()
	must(t, err)
	for _, e := range entries {
		if e.Name == name {
			inode, err := img.Inode(e.NID)
			must(t, err)
			return inode
		}
	}
	t.Fatalf("no file %s", name)
	return nil
}

// compareRandomAccess reads short pieces backwards, each across a border.
func compareRandomAccess(t *testing.T, path string, inode *Inode, want []byte) {
	t.Helper()
	for off := len(want) - 1; off > 0; off -= 1 + len(want)/7 {
		b := make([]byte, min(20, len(want)-off))
		if _, err := inode.ReadAt(b, int64(off)); err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%s: at %d: %v", path, off, err)
		}
		if !bytes.Equal(b, want[off:off+len(b)]) {
			t.Fatalf("%s: bytes at %d differ", path, off)
		}
	}
}

// TestXattrs sets attributes that end up inline, shared, and under a long
// name prefix.
func TestXattrs(t *testing.T) {
	tree := t.TempDir()
	values := map[string]string{"user.one": "1", "user.mango.two": "a rather long value", "user.empty": ""}
	for _, name := range []string{"a", "b", "c", "d"} {
		path := filepath.Join(tree, name)
		must(t, os.WriteFile(path, []byte(name), 0o644))
		for k, v := range values {
			if err := syscall.Setxattr(path, k, []byte(v), 0); err != nil {
				t.Skipf("the file system of %s keeps no extended attributes: %v", tree, err)
			}
		}
	}
	for _, args := range []string{"", "-x1", "--xattr-prefix=user.mango.", "-zlz4hc -Efragments --xattr-prefix=user.mango."} {
		img := open(t, mkfs(t, tree, strings.Fields(args)...))
		root, err := img.Root()
		must(t, err)
		entries, err := root.ReadDir()
		must(t, err)
		for _, e := range entries {
			inode, err := img.Inode(e.NID)
			must(t, err)
			list, err := inode.Xattrs()
			must(t, err)
			if len(list) != len(values) {
				t.Errorf("%q: %s has %d attributes: %v", args, e.Name, len(list), list)
			}
			for _, x := range list {
				if want, ok := values[x.Name]; !ok || want != string(x.Value) {
					t.Errorf("%q: %s: %s=%q", args, e.Name, x.Name, x.Value)
				}
			}
		}
	}
}

// TestExtents requires that the extents cover a file without gaps.
func TestExtents(t *testing.T) {
	inode := find(t, open(t, mkfs(t, sampleTree(t), "-zlz4hc", "-C65536")), "mixed")
	var total int64
	seen := map[Encoding]bool{}
	for x, err := range inode.Extents() {
		must(t, err)
		total += x.Length
		seen[x.Encoding] = true
	}
	if total != inode.Size || !seen[LZ4] {
		t.Errorf("extents cover %d of %d bytes, encodings %v", total, inode.Size, seen)
	}
}

func TestRefused(t *testing.T) {
	good, err := os.ReadFile(mkfs(t, sampleTree(t), "-zlz4hc"))
	must(t, err)
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrNotErofs},
		{"magic", func(b []byte) []byte { b[1024] ^= 1; return b }, ErrNotErofs},
		{"checksum", func(b []byte) []byte { b[1024+48] ^= 1; return b }, ErrCorrupt},
		{"feature", func(b []byte) []byte { b[1024+83] = 0x80; return b }, ErrUnsupported},
		{"cut off", func(b []byte) []byte { return b[:2000] }, ErrCorrupt},
	} {
		b := c.change(bytes.Clone(good))
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzLZ4(f *testing.F) {
	f.Add([]byte{0x1f, 'a', 1, 0, 200, 0x50, '1', '2', '3', '4', '5'}, 100, true)
	f.Add([]byte{0x50, '1', '2', '3', '4', '5'}, 5, false)
	f.Fuzz(func(t *testing.T, in []byte, size int, partial bool) {
		if size < 0 || size > 1<<16 {
			return
		}
		_ = decodeLZ4(make([]byte, size), in, partial)
	})
}

// FuzzImage walks whatever opens. The seeds are small images with every layout.
func FuzzImage(f *testing.F) {
	if _, err := exec.LookPath("mkfs.erofs"); err == nil {
		tree := f.TempDir()
		must(f, os.WriteFile(filepath.Join(tree, "a"), bytes.Repeat([]byte("abcd "), 4000), 0o644))
		must(f, os.WriteFile(filepath.Join(tree, "b"), []byte("short"), 0o644))
		must(f, os.Symlink("a", filepath.Join(tree, "l")))
		for _, args := range []string{"", "-zlz4hc", "-zlz4hc -C16384 -Eall-fragments,dedupe", "-zlz4hc -Elegacy-compress,ztailpacking", "-zzstd", "-zdeflate", "--chunksize=4096"} {
			b, err := os.ReadFile(mkfs(f, tree, strings.Fields(args)...))
			must(f, err)
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		if len(b) > superOffset+12 {
			b = bytes.Clone(b)
			b[superOffset+8] &^= featChecksum // or nothing else is ever reached
		}
		img, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		budget := 30
		walk(img, img.Superblock().RootNID, &budget)
	})
}

func walk(img *Image, nid uint64, budget *int) {
	if *budget--; *budget < 0 {
		return
	}
	inode, err := img.Inode(nid)
	if err != nil {
		return
	}
	_, _ = inode.Xattrs()
	if inode.IsDir() {
		entries, _ := inode.ReadDir()
		for _, e := range entries {
			walk(img, e.NID, budget)
		}
		return
	}
	_, _ = inode.Readlink()
	n := 0
	for _, err := range inode.Extents() {
		if n++; err != nil || n > 10 {
			break
		}
	}
	_, _ = io.CopyN(io.Discard, io.NewSectionReader(inode.Open(), 0, inode.Size), 1<<20)
}
