package disk

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
)

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// make writes a disk with an ESP and a verity root that holds big and a link to it.
func makeDisk(t *testing.T) (path string, tree *verity.Tree) {
	t.Helper()
	need(t, "mkfs.erofs", "mformat", "mcopy")
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	// Distinct blocks, so that no two of them share their place.
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i>>12) ^ byte(i*i>>7)
	}
	for name, content := range map[string][]byte{"usr/lib/prog": big, "usr/lib/small": []byte("small")} {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"lib": "usr/lib", "usr/lib/init": "/lib/../lib/prog"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mkfs.erofs", "--quiet", "-zlz4hc", filepath.Join(dir, "erofs"), root)
	data, err := os.ReadFile(filepath.Join(dir, "erofs"))
	if err != nil {
		t.Fatal(err)
	}
	if tree, err = verity.Build(bytes.NewReader(data), int64(len(data)), verity.Salt()); err != nil {
		t.Fatal(err)
	}
	table := &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID("disk"), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID("esp"), Size: 300 << 20},
		{Type: gpt.TypeRootVeritySig, ID: gpt.DeriveGUID("sig"), Size: verity.SignatureSize},
		{Type: gpt.TypeRootVerity, ID: gpt.DeriveGUID("tree"), Size: int64(len(tree.Bytes()))},
		{Type: gpt.TypeRoot, ID: gpt.DeriveGUID("root"), Size: int64(len(data))},
	}}
	table.Layout()
	path = filepath.Join(dir, "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(table.DiskSize); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(f); err != nil {
		t.Fatal(err)
	}
	for i, content := range map[int][]byte{2: tree.Bytes(), 3: data} {
		if _, err := f.WriteAt(content, table.Partitions[i].Start); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mformat", "-i", path+"@@1M", "-F", "-M", "4096", "-T", "76800", "::")
	return path, tree
}

// check reads the disk's root and hash tree and says what verity finds.
func check(t *testing.T, i *Image, root verity.RootHash) error {
	t.Helper()
	tree, err := i.Partition(gpt.TypeRootVerity)
	if err != nil {
		t.Fatal(err)
	}
	data, err := i.Partition(gpt.TypeRoot)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verity.Open(io.NewSectionReader(i.file, tree.Start, tree.Size), tree.Size, root)
	if err != nil {
		return err
	}
	return v.Verify(io.NewSectionReader(i.file, data.Start, data.Size))
}

func TestFlip(t *testing.T) {
	path, tree := makeDisk(t)
	i, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if err := check(t, i, tree.Root); err != nil {
		t.Fatal("before any change:", err)
	}
	at, err := i.Data("/usr/lib/init")
	if err != nil {
		t.Fatal(err)
	}
	if direct, err := i.Data("/usr/lib/prog"); err != nil || direct != at {
		t.Errorf("through links %d, directly %d: %v", at, direct, err)
	}
	hash, err := i.Hash(at)
	if err != nil {
		t.Fatal(err)
	}
	for what, offset := range map[string]int64{"data": at, "hash": hash} {
		if err := i.Flip(offset); err != nil {
			t.Fatal(err)
		}
		if err := check(t, i, tree.Root); !errors.Is(err, verity.ErrCorrupt) {
			t.Errorf("%s flipped: verity says %v", what, err)
		}
		if err := i.Flip(offset); err != nil {
			t.Fatal(err)
		}
		if err := check(t, i, tree.Root); err != nil {
			t.Errorf("%s flipped back: verity says %v", what, err)
		}
	}
	// The digest is the one of that very block: it is the digest that is stored there.
	var stored [verity.HashSize]byte
	if _, err := i.file.ReadAt(stored[:], hash); err != nil {
		t.Fatal(err)
	}
	if stored == [verity.HashSize]byte{} {
		t.Error("the place of the digest holds zeros")
	}
	for _, path := range []string{"/usr/lib/none", "/usr/lib/prog/x", "/usr/lib"} {
		if _, err := i.Data(path); path != "/usr/lib" && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSignature(t *testing.T) {
	path, tree := makeDisk(t)
	i, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	want := &verity.Signature{Root: tree.Root, PKCS7: []byte{0x30, 0}}
	if err := i.SetSignature(want); err != nil {
		t.Fatal(err)
	}
	if got, err := i.Signature(); err != nil || got.Root != want.Root || !bytes.Equal(got.PKCS7, want.PKCS7) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := i.SetSignature(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Signature(); !errors.Is(err, verity.ErrFormat) {
		t.Errorf("an empty partition gave %v", err)
	}
}

func TestAppend(t *testing.T) {
	path, tree := makeDisk(t)
	i, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Append(gpt.Partition{Type: gpt.TypeVar, ID: gpt.DeriveGUID("var"), Label: "var", Size: 1 << 20}, bytes.NewReader([]byte("content"))); err != nil {
		t.Fatal(err)
	}
	i.Close()
	if i, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	p, err := i.Partition(gpt.TypeVar)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 7)
	if _, err := i.file.ReadAt(b, p.Start); err != nil || string(b) != "content" || p.Label != "var" {
		t.Errorf("partition %+v holds %q, %v", p, b, err)
	}
	if err := check(t, i, tree.Root); err != nil {
		t.Errorf("the root after it: %v", err)
	}
}

func TestESP(t *testing.T) {
	path, _ := makeDisk(t)
	i, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	esp, err := i.ESP()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := esp.Write(ctx, "/loader/entries/a long name.conf", []byte("title x\n")); err != nil {
		t.Fatal(err)
	}
	if err := esp.Write(ctx, "/loader/entries/second.conf", []byte("second")); err != nil {
		t.Fatal(err)
	}
	if err := esp.Write(ctx, "/loader/entries/second.conf", []byte("third")); err != nil {
		t.Fatal("overwrite:", err)
	}
	files, err := esp.List(ctx, "/")
	if want := []string{"/loader/entries/a long name.conf", "/loader/entries/second.conf"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("list: %q, %v", files, err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := esp.Get(ctx, "/loader/entries/second.conf", out); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(out); string(b) != "third" {
		t.Errorf("read back %q", b)
	}
	if err := esp.Remove(ctx, "/loader/entries/second.conf"); err != nil {
		t.Fatal(err)
	}
	if err := esp.Get(ctx, "/loader/entries/second.conf", out); err == nil {
		t.Error("a removed file was read")
	}
}

func TestCopyAndUnpack(t *testing.T) {
	dir := t.TempDir()
	content := make([]byte, 5<<20)
	copy(content[2<<20:], "in the middle")
	content[len(content)-1] = 1
	from := filepath.Join(dir, "from")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{2 << 20, len(content) - 4096} {
		if _, err := f.WriteAt(content[at:min(at+4096, len(content))], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	packed := filepath.Join(dir, "packed")
	p, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(p)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(content)
	z.Close()
	p.Close()
	for name, make := range map[string]func(string) error{
		"copy":   func(to string) error { return Copy(from, to) },
		"unpack": func(to string) error { return Unpack(packed, to) },
	} {
		to := filepath.Join(dir, name)
		if err := make(to); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes differ, %v", name, len(got), err)
		}
		if err := make(to); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s over a file that is there: %v", name, err)
		}
	}
}
