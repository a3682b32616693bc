package boundary

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/uki/ukitest"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/disk"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// world is a folder with an unsigned set ("set") and two organisations' ("one",
// "two"). A test changes one thing.
type world struct {
	t   *testing.T
	dir string
	// sections are the parts of the normal form's image.
	sections []ukitest.Part
	root     verity.RootHash
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name string, content []byte) {
	must(w.t, os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	must(w.t, os.WriteFile(w.path(name), content, 0o644))
}

func (w *world) read(name string) []byte {
	b, err := os.ReadFile(w.path(name))
	must(w.t, err)
	return b
}

const release = "ID=mangos\nPRETTY_NAME=\"mangos\"\n"

// area is where the kernels hold a certificate.
const area, areaSize = 100, 16

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir()}
	kernel := bytes.Repeat([]byte("kernel "), 300)
	copy(kernel[area:], make([]byte, areaSize))
	ranges := byterange.Set{}
	for _, name := range []string{unsigned.Vmlinux, unsigned.BzImage} {
		w.write("set/"+name, append([]byte(name), kernel...))
		ranges.Files = append(ranges.Files, byterange.File{File: name, Size: int64(len(name) + len(kernel)),
			Ranges: []byterange.Range{{Offset: int64(len(name)) + area, Length: areaSize, What: "certificate"}}})
	}
	text, err := ranges.JSON()
	must(t, err)
	w.write("ranges.json", text)
	root := bytes.Repeat([]byte("root"), 5000)
	w.write("set/root.erofs", root)
	tree, err := verity.Build(bytes.NewReader(root[:len(root)/4096*4096]), int64(len(root)/4096*4096), verity.Salt())
	must(t, err)
	w.write("set/root.verity", tree.Bytes())
	w.root = tree.Root
	w.sections = ukitest.Parts(".osrel", release, ".cmdline", "quiet", ".uname", "6.12",
		".linux", string(w.read("set/bzImage")), ".initrd", strings.Repeat("i", 5000))
	w.write("set/uki.efi", ukitest.Image(w.sections...))
	w.write("set/mangos_1.spdx.json", []byte("{}"))
	files := map[string]string{unsigned.SBOM: w.path("set/mangos_1.spdx.json")}
	for _, name := range []string{unsigned.Vmlinux, unsigned.BzImage, unsigned.Root, unsigned.Tree, unsigned.UKI} {
		files[name] = w.path("set/" + name)
	}
	m, err := unsigned.Describe("mangos", "1", 1700000000, tree.Root, files, w.path("ranges.json"))
	must(t, err)
	text, err = m.JSON()
	must(t, err)
	w.write("set/mangos_1.unsigned.json", text)
	w.sign("one", w.sections, nil)
	w.sign("two", w.sections, nil)
	return w
}

// sign makes an organisation's files.
func (w *world) sign(name string, sections []ukitest.Part, boot map[string][]byte) {
	w.write(name+"/mangos_1.root-x86-64-verity-sig.x.raw", []byte("signature of "+name))
	var parts []ukitest.Part
	for _, k := range []string{unsigned.Vmlinux, unsigned.BzImage} {
		kernel := w.read("set/" + k)
		copy(kernel[len(k)+area:], "cert of "+name)
		w.write(name+"/"+k, kernel)
		parts = nil
		for _, p := range sections {
			switch p.Name {
			case ".osrel":
				marked, err := unified.MarkTryOut([]byte(p.Content))
				must(w.t, err)
				p.Content = string(marked)
			case ".linux":
				p.Content = string(kernel)
			}
			parts = append(parts, p)
		}
	}
	parts = append(parts, ukitest.Part{Name: ".pcrpkey", Content: "key of " + name}, ukitest.Part{Name: ".pcrsig", Content: "sig of " + name})
	w.write(name+"/mangos_1.efi", ukitest.Sign(ukitest.Image(parts...), "signature of "+name))
	w.disk(name, boot)
}

// disk makes an organisation's disk image from its other files.
func (w *world) disk(name string, boot map[string][]byte) {
	files := map[string][]byte{
		"EFI/Linux/mangos.efi":              w.read(name + "/mangos_1.efi"),
		"EFI/BOOT/BOOTX64.EFI":              ukitest.Sign(ukitest.Image(), "boot loader of "+name),
		"loader/loader.conf":                []byte("timeout 0\n"),
		"mangos/extensions/org.confext.raw": []byte(name),
	}
	for file, content := range boot {
		files[file] = content
	}
	sources := map[string]string{}
	for file, content := range files {
		w.write(name+"-boot/"+file, content)
		sources[file] = w.path(name + "-boot/" + file)
	}
	for _, tool := range []string{"mkfs.vfat", "mmd", "mcopy"} {
		if _, err := exec.LookPath(tool); err != nil {
			w.t.Skipf("needs the program %s", tool)
		}
	}
	must(w.t, os.RemoveAll(w.path("esp")))
	must(w.t, disk.ESP(w.t.Context(), w.path("esp"), disk.MinESP, 1700000000, sources))
	parts := append([]disk.Part{{Source: w.path("esp"), Partition: gpt.Partition{Type: gpt.TypeESP, ID: gpt.DeriveGUID("esp"), Label: "esp"}}},
		disk.VerityParts(w.root, [3]string{"mangos_1_verity_sig", "mangos_1_verity", "mangos_1"}, [3]int64{16 << 10, 1 << 20, 1 << 20},
			[3]string{w.path(name + "/mangos_1.root-x86-64-verity-sig.x.raw"), w.path("set/root.verity"), w.path("set/root.erofs")})...)
	must(w.t, disk.Write(w.path(name+"/disk.raw"), 512, gpt.DeriveGUID("disk"), parts))
}

// flip changes a byte of a file.
func (w *world) flip(name string, at int64) {
	f, err := os.OpenFile(w.path(name), os.O_RDWR, 0)
	must(w.t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	must(w.t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	must(w.t, err)
}

// start returns where a partition begins.
func (w *world) start(label string) int64 {
	f, err := os.Open(w.path("two/disk.raw"))
	must(w.t, err)
	defer f.Close()
	st, err := f.Stat()
	must(w.t, err)
	table, err := gpt.Read(f, st.Size())
	must(w.t, err)
	p, err := partition(table, label)
	must(w.t, err)
	return p.Start
}

func (w *world) check() (ok bool, failed int, text string) {
	w.t.Helper()
	set, err := Open(w.path("set"))
	must(w.t, err)
	list, err := set.Check(w.t.Context(), w.path("one"), w.path("two"))
	if err != nil {
		return false, 0, err.Error()
	}
	var out strings.Builder
	must(w.t, list.Write(&out))
	_, failed = list.Counts()
	return list.OK(), failed, out.String()
}

func TestGood(t *testing.T) {
	if ok, _, text := newWorld(t).check(); !ok || !strings.Contains(text, "\n27 passed, 0 failed\n") {
		t.Errorf("%s", text)
	}
}

// TestCompressed: the disk image may be compressed, as in a release.
func TestCompressed(t *testing.T) {
	w := newWorld(t)
	packed, err := zstd.NewWriter(nil)
	must(t, err)
	w.write("two/mangos_1.raw.zst", packed.EncodeAll(w.read("two/disk.raw"), nil))
	if ok, _, text := w.check(); ok || !strings.Contains(text, "want one file *.raw.zst") {
		t.Errorf("two disks: %s", text)
	}
	must(t, os.Remove(w.path("two/disk.raw")))
	if ok, _, text := w.check(); !ok {
		t.Errorf("%s", text)
	}
}

// TestFaults puts one fault into what the second organisation signed; it is found
// and named.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(w *world)
		says  []string
	}{
		"vmlinux outside of the ranges": {func(w *world) { w.flip("two/vmlinux", 50) },
			[]string{"two vmlinux: byte 50 differs from the unsigned kernel's, outside of the 1 declared ranges"}},
		"bzImage outside of the ranges": {func(w *world) { w.flip("two/bzImage", 7+area+areaSize) },
			[]string{"two bzImage: byte 123 differs", "two uki.efi: its kernel is not"}},
		"longer kernel": {func(w *world) { w.write("two/vmlinux", append(w.read("two/vmlinux"), 0)) },
			[]string{"two vmlinux: invalid byte ranges"}},
		"command line": {func(w *world) {
			s := append([]ukitest.Part{}, w.sections...)
			s[1].Content = "debug"
			w.sign("two", s, nil)
		}, []string{"two uki.efi: section .cmdline differs from the normal form's at byte 0", "two uki.efi: its normal form differs from the set's at byte"}},
		"section": {func(w *world) { w.sign("two", append(w.sections, ukitest.Part{Name: ".splash", Content: "x"}), nil) },
			[]string{"two uki.efi: section .splash is not in the normal form", "two uki.efi: its normal form differs"}},
		"stub": {func(w *world) { w.flip("two/mangos_1.efi", ukitest.Headers); w.disk("two", nil) },
			[]string{"two uki.efi: section .text differs", "two uki.efi: its normal form differs from the set's at byte 1024, in section .text"}},
		"another image on the disk": {func(w *world) {
			w.write("two/mangos_1.efi", w.read("one/mangos_1.efi"))
			w.write("two/bzImage", w.read("one/bzImage"))
		},
			[]string{"two disk EFI/Linux/mangos.efi: differs", "two certificate in bzImage: the same as one's", "two PCR key: the same", "two signature of the image: the same"}},
		"two images on the disk": {func(w *world) { w.disk("two", map[string][]byte{"EFI/Linux/other.efi": w.read("two/mangos_1.efi")}) },
			[]string{"two disk: 2 unified kernel images on the boot partition"}},
		"boot loader": {func(w *world) {
			w.disk("two", map[string][]byte{"EFI/BOOT/BOOTX64.EFI": ukitest.Sign(ukitest.Image(ukitest.Part{Name: ".x", Content: "x"}), "s")})
		},
			[]string{"two disk EFI/BOOT/BOOTX64.EFI: byte"}},
		"unsigned boot loader": {func(w *world) { w.disk("two", map[string][]byte{"EFI/BOOT/BOOTX64.EFI": ukitest.Image()}) },
			[]string{"two disk EFI/BOOT/BOOTX64.EFI: the program is not signed"}},
		"boot configuration": {func(w *world) { w.disk("two", map[string][]byte{"loader/loader.conf": []byte("timeout 9\n")}) },
			[]string{"two disk loader/loader.conf: byte 8 differs from one's"}},
		"more on the boot partition": {func(w *world) { w.disk("two", map[string][]byte{"loader/x": nil}) },
			[]string{"two disk loader/x: on one of the two disks only"}},
		"root": {func(w *world) { w.flip("two/disk.raw", w.start("mangos_1")+7) },
			[]string{"two disk partition mangos_1: byte 7 differs", "in partition mangos_1, which is not declared to differ"}},
		"behind the root": {func(w *world) { w.flip("two/disk.raw", w.start("mangos_1")+30000) },
			[]string{"two disk partition mangos_1: byte 30000 differs", "two disk: byte"}},
		"hash tree": {func(w *world) { w.flip("two/disk.raw", w.start("mangos_1_verity")+4096) },
			[]string{"two disk partition mangos_1_verity: byte 4096 differs", "two disk: byte"}},
		"another signature on the disk": {func(w *world) { w.flip("two/disk.raw", w.start("mangos_1_verity_sig")) },
			[]string{"two disk partition mangos_1_verity_sig: byte 0 differs"}},
		"before the partitions": {func(w *world) { w.flip("two/disk.raw", 0) },
			[]string{"two disk: byte 0 differs from one's, outside of all partitions"}},
		"one set of keys": {func(w *world) { w.dir = w.again("one", "two") }, []string{
			"two certificate in bzImage: the same", "two PCR key: the same", "two signature of the image: the same", "two signature of the root hash: the same"}},
		"a changed set": {func(w *world) { w.flip("set/root.erofs", 0) }, []string{
			"root.erofs: 20000 bytes, sha256", "one disk partition mangos_1: byte 0", "two disk partition mangos_1: byte 0"}},
		"a file of the set is gone": {func(w *world) {
			w.write("set/mangos_1.unsigned.json", bytes.Replace(w.read("set/mangos_1.unsigned.json"), []byte(`"name": "root.erofs"`), []byte(`"name": "root.gone"`), 1))
		}, []string{"root.gone: unsigned.json lists it, and it is not there"}},
	} {
		w := newWorld(t)
		c.fault(w)
		ok, failed, text := w.check()
		if ok || failed != len(c.says) {
			t.Errorf("%s: %d rows failed, want %d:\n%s", name, failed, len(c.says), text)
		}
		for _, says := range c.says {
			if !strings.Contains(text, says) {
				t.Errorf("%s: no %q in\n%s", name, says, text)
			}
		}
	}
}

// again copies an organisation's files to another name.
func (w *world) again(from, to string) string {
	for _, name := range []string{"vmlinux", "bzImage", "mangos_1.efi", "mangos_1.root-x86-64-verity-sig.x.raw", "disk.raw"} {
		must(w.t, os.Remove(w.path(to+"/"+name)))
		must(w.t, os.Link(w.path(from+"/"+name), w.path(to+"/"+name)))
	}
	return w.dir
}

// TestRefuses: what cannot be judged is an error, never a pass.
func TestRefuses(t *testing.T) {
	w := newWorld(t)
	set, err := Open(w.path("one"), w.path("set"))
	must(t, err)
	if _, err := set.Check(t.Context(), w.path("one")); err == nil {
		t.Error("one organisation alone is compared")
	}
	for _, name := range []string{"vmlinux", "bzImage", "mangos_1.efi", "mangos_1.root-x86-64-verity-sig.x.raw", "disk.raw"} {
		must(t, os.Rename(w.path("two/"+name), w.path("gone")))
		if _, err := set.Check(t.Context(), w.path("one"), w.path("two")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: %v", name, err)
		}
		must(t, os.Rename(w.path("gone"), w.path("two/"+name)))
	}
	w.write("set/mangos_1.unsigned.json", []byte(fmt.Sprintf(`{"rootHash": "%064d"}`, 1)))
	if _, err := Open(w.path("set")); !errors.Is(err, unsigned.ErrSet) {
		t.Errorf("no declaration: %v", err)
	}
}
