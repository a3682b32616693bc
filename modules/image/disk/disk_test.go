package disk

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
)

func file(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWrite(t *testing.T) {
	// Data, a stretch of zeros, data, and an end that fills no block.
	content := bytes.Join([][]byte{bytes.Repeat([]byte("a"), 70000), make([]byte, 3<<20), bytes.Repeat([]byte("b"), 5001)}, nil)
	var root verity.RootHash
	for i := range root {
		root[i] = byte(i)
	}
	tree := []byte("tree")
	parts := VerityParts(root, [3]string{"m_1_verity_sig", "m_1_verity", "m_1"}, [3]int64{verity.SignatureSize, 1 << 20, 0},
		[3]string{file(t, []byte("signature")), file(t, tree), file(t, content)})
	out := filepath.Join(t.TempDir(), "disk")
	if err := Write(out, 512, gpt.DeriveGUID("x"), parts); err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.Read(bytes.NewReader(disk), int64(len(disk)))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{[]byte("signature"), tree, content}
	for i, p := range table.Partitions {
		got := disk[p.Start : p.Start+p.Size]
		if !bytes.HasPrefix(got, want[i]) || len(bytes.Trim(got[len(want[i]):], "\x00")) > 0 {
			t.Errorf("partition %q holds something else", p.Label)
		}
		if p.Attributes != gpt.ReadOnly {
			t.Errorf("partition %q has attributes %x", p.Label, p.Attributes)
		}
	}
	// The halves of the root hash.
	if id := table.Partitions[2].ID.String(); id != "00010203-0405-0607-0809-0a0b0c0d0e0f" {
		t.Errorf("root is %s", id)
	}
	if id := table.Partitions[1].ID.String(); id != "10111213-1415-1617-1819-1a1b1c1d1e1f" {
		t.Errorf("hash tree is %s", id)
	}
}

func TestWriteRefuses(t *testing.T) {
	part := func(label string, size int64, source string) Part {
		return Part{Partition: gpt.Partition{Type: gpt.TypeRoot, ID: gpt.DeriveGUID(label), Label: label, Size: size}, Source: source}
	}
	for name, c := range map[string]struct {
		part Part
		want error
	}{
		"too small":  {part("x", 4096, file(t, make([]byte, 4097))), ErrDisk},
		"empty":      {part("x", 4096, file(t, nil)), ErrDisk},
		"no file":    {part("x", 4096, "/no/such/file"), os.ErrNotExist},
		"long label": {part(strings.Repeat("x", 37), 0, file(t, []byte("x"))), gpt.ErrFormat},
	} {
		out := filepath.Join(t.TempDir(), "disk")
		if err := Write(out, 512, gpt.GUID{}, []Part{c.part}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) > 0 {
			t.Errorf("%s leaves %v (%v)", name, entries, err)
		}
	}
}

// TestESPSpec: what the tools write is what is computed anew.
func TestESPSpec(t *testing.T) {
	for _, tool := range []string{"mkfs.vfat", "mmd", "mcopy"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	const epoch = 1767323045
	contents := map[string][]byte{
		"EFI/Linux/mangos_0.1+3.efi": bytes.Repeat([]byte("uki"), 5000), "EFI/BOOT/BOOTX64.EFI": []byte("boot"), "loader/loader.conf": nil,
	}
	sources := map[string]string{}
	for name, content := range contents {
		sources[name] = file(t, content)
	}
	out := filepath.Join(t.TempDir(), "esp")
	if err := ESP(t.Context(), out, MinESP, epoch, sources); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := ESPSpec(MinESP, epoch, contents).Make()
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, MinESP)
	for _, p := range pieces {
		copy(want[p.Offset:], p.Bytes)
	}
	if !bytes.Equal(got, want) {
		t.Error("the tools write something else")
	}
}

func TestESPRefuses(t *testing.T) {
	source := file(t, []byte("x"))
	for _, files := range []map[string]string{
		{"../x": source}, {"/x": source}, {"a:b": source}, {"a*": source}, {"x": "/no/such/file"},
	} {
		if err := ESP(t.Context(), filepath.Join(t.TempDir(), "esp"), MinESP, 1, files); !errors.Is(err, ErrDisk) {
			t.Errorf("%v: %v", files, err)
		}
	}
	if err := ESP(t.Context(), "x", MinESP-4096, 1, nil); !errors.Is(err, ErrDisk) {
		t.Errorf("small: %v", err)
	}
}
