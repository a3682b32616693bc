package firmware

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/modules/image/fstree"
)

// kernel is an ELF file that loads data and has other bytes behind it.
func kernel(data, behind string) []byte {
	le := binary.LittleEndian
	b := make([]byte, 64+56)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[18:], 62)
	le.PutUint64(b[32:], 64) // program headers
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint32(b[64:], 1)     // load
	le.PutUint64(b[64+8:], 120) // offset
	le.PutUint64(b[64+32:], uint64(len(data)))
	le.PutUint64(b[64+40:], uint64(len(data)))
	return append(append(b, data...), behind...)
}

func TestAsked(t *testing.T) {
	data := "\x00a/b.bin\x00tg3.fw\x00a/b.bin\x00no/firmware\x00with blank.bin\x00a/%s-%x.pkg\x00.bin\x00/abs.bin\x00bin\x00end.ucode"
	got, err := Asked(kernel(data, "\x00not/loaded.bin\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a/%s-%x.pkg", "a/b.bin", "tg3.fw"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := Asked([]byte("no kernel")); err == nil {
		t.Error("no ELF file: accepted")
	}
}

func TestCheck(t *testing.T) {
	asked := []string{"a/one.bin", "a/link.pkg", "late.bin"}
	without := []string{"late.bin"}
	good := []File{{"a/one.bin", ""}, file("a/link.pkg", "real.pkg"), {"a/real.pkg", ""}}
	if err := Check("root", asked, without, good); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		asked, without []string
		files          []File
		want           string
	}{
		"missing":                 {asked, without, good[1:], "missing (find them in the distribution, or list them under `without`): a/one.bin"},
		"a link into nowhere":     {asked, without, good[:2], "a/link.pkg"},
		"links in a circle":       {[]string{"x.bin"}, nil, []File{file("x.bin", "y.bin"), file("y.bin", "x.bin")}, "x.bin"},
		"too much":                {asked, without, append(slices.Clone(good), File{"b/more.bin", ""}), "no driver asks for them: b/more.bin"},
		"left out, and there":     {asked, without, append(slices.Clone(good), File{"late.bin", ""}), "there or not asked for: late.bin"},
		"left out, not asked for": {asked, append(slices.Clone(without), "z.bin"), good, "there or not asked for: z.bin"},
		"nothing there":           {asked, without, nil, "a/one.bin, a/link.pkg"},
	} {
		if err := Check("root", c.asked, c.without, c.files); !errors.Is(err, ErrFirmware) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInInitrd(t *testing.T) {
	tree := fstree.New()
	if err := errors.Join(tree.MakeDirs(Folder+"/a"), tree.SetFile(Folder+"/a/real.pkg", []byte("x"), 0o644),
		tree.SetSymlink(Folder+"/a/link.pkg", "real.pkg"), tree.SetFile("usr/lib/other", []byte("y"), 0o644)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tree.WriteCpio(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := InInitrd(&b)
	if want := []File{{"a/link.pkg", "a/real.pkg"}, {"a/real.pkg", ""}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := InInitrd(strings.NewReader("no archive")); err == nil {
		t.Error("no archive: accepted")
	}
	var cut bytes.Buffer
	if w, err = zstd.NewWriter(&cut); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("070701")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := InInitrd(&cut); !errors.Is(err, cpio.ErrFormat) {
		t.Errorf("cut off: %v", err)
	}
}

func FuzzAsked(f *testing.F) {
	f.Add(kernel("\x00a/b.bin\x00", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := Asked(b)
		if err == nil && !slices.IsSorted(names) {
			t.Error("not sorted")
		}
	})
}
