package verify_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/zstdframe"
	"github.com/mastercard/mangos/modules/image/release"
)

// raw is an unpacked disk image in a file.
type raw struct {
	c     *copied
	path  string
	table *gpt.Table
}

// onRaw changes the small release's disk image, unpacked, and what is said of it.
func (c *copied) onRaw(change func(*raw)) {
	c.t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer z.Close()
	name := c.find(".raw.zst")
	image, err := z.DecodeAll(c.read(name), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r := &raw{c: c, path: filepath.Join(c.t.TempDir(), "disk")}
	r.write(image)
	if r.table, err = gpt.Read(bytes.NewReader(image), int64(len(image))); err != nil {
		c.t.Fatal(err)
	}
	change(r)
	packed := r.path + ".zst"
	if err := release.Zstd(c.t.Context(), r.path, packed); err != nil {
		c.t.Fatal(err)
	}
	c.remake("disk", name, c.readFile(packed))
}

func (r *raw) write(image []byte) {
	r.c.t.Helper()
	if err := os.WriteFile(r.path, image, 0o600); err != nil {
		r.c.t.Fatal(err)
	}
}

// mtools runs a tool on the EFI system partition.
func (r *raw) mtools(name string, args ...string) {
	r.c.t.Helper()
	oracle.Run(r.c.t, filepath.Dir(r.path), name, append([]string{"-i", r.path + "@@" + strconv.FormatInt(r.table.Partitions[0].Start, 10)}, args...)...)
}

// put copies content to a path on the EFI system partition, over what is there.
func (r *raw) put(path, content string) {
	r.c.t.Helper()
	source := filepath.Join(r.c.t.TempDir(), "content")
	if err := os.WriteFile(source, []byte(content), 0o600); err != nil {
		r.c.t.Fatal(err)
	}
	r.mtools("mcopy", "-o", source, "::/"+path)
}

// replace puts bytes in the place of others, which stand there once or more.
func (r *raw) replace(from, to string) {
	r.c.t.Helper()
	image := r.c.readFile(r.path)
	if !bytes.Contains(image, []byte(from)) {
		r.c.t.Fatalf("the disk has no %q", from)
	}
	r.write(bytes.ReplaceAll(image, []byte(from), []byte(to)))
}

// set changes a byte of the disk, counted from its end where the place is negative.
func (r *raw) set(at int64) {
	r.c.t.Helper()
	image := r.c.readFile(r.path)
	if at < 0 {
		at += int64(len(image))
	}
	image[at] ^= 'x'
	r.write(image)
}

// retable writes a changed partition table.
func (r *raw) retable(change func(*gpt.Table)) {
	r.c.t.Helper()
	change(r.table)
	f, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if err != nil {
		r.c.t.Fatal(err)
	}
	defer f.Close()
	if err := r.table.Write(f); err != nil {
		r.c.t.Fatal(err)
	}
}

// wide is a text in UTF-16.
func wide(s string) string {
	var b []byte
	for _, c := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(c))
	}
	return string(b)
}

// TestFrameTampering: what is wrong is how the disk image is packed: no byte of the disk
// is another, and there are bytes that nobody unpacks.
func TestFrameTampering(t *testing.T) {
	const (
		empty   = zstdframe.Magic + "\x20\x00\x01\x00\x00"              // a frame of nothing
		nothing = zstdframe.Magic + "\x20\x00\x02\x00\x00x\x01\x00\x00" // which repeats a byte no time
	)
	o := smallOriginal(t)
	for _, row := range []struct {
		name   string
		change func(packed []byte) []byte
		detail string
	}{
		{"a frame of nothing behind it", func(b []byte) []byte { return append(b, empty...) }, "a frame of it holds 0 bytes"},
		{"a frame of nothing before it", func(b []byte) []byte { return append([]byte(empty), b...) }, "a frame of it holds 0 bytes"},
		{"a frame with a byte that is not unpacked", func(b []byte) []byte { return append(b, nothing...) }, "a frame of it holds 0 bytes"},
		{"a block with a byte that is not unpacked", func(b []byte) []byte {
			outline, err := zstdframe.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			at := outline.Blocks[0].Offset
			return slices.Insert(b, at, 2, 0, 0, 'x') // repeats a byte no time
		}, "a block of it holds nothing"},
		{"a frame that is skipped", func(b []byte) []byte { return append(b, "\x50\x2a\x4d\x18\x01\x00\x00\x00x"...) }, "magic"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.trial(t)
			name := c.find(".raw.zst")
			c.remake("disk", name, row.change(bytes.Clone(c.read(name))))
			c.fails("disk", row.detail)
		})
	}
}

// TestDiskTampering: what is wrong lies on the disk outside of the file systems that
// dm-verity covers, and everything that is said of the disk says the same.
func TestDiskTampering(t *testing.T) {
	o := smallOriginal(t)
	const boot = "boot-partition"
	linux := "EFI/Linux/" + o.world.Names.Entry
	rows := []struct {
		name   string
		change func(r *raw)
		check  string
		detail string
	}{
		{"a foreign file", func(r *raw) { r.put("EFI/Linux/foreign.efi", "x") }, boot, "foreign.efi should be mangos_1.2.efi"},
		{"a foreign file elsewhere", func(r *raw) { r.put("loader/random-seed", "x") }, boot, "loader/random-seed has no place there"},
		{"another loader.conf", func(r *raw) { r.put("loader/loader.conf", "timeout 5\neditor yes\n") }, boot, `loader/loader.conf: it is "timeout 5`},
		{"another kernel image", func(r *raw) { r.put(linux+"+3.efi", "x") }, boot, "+3.efi is not mangos_1.2.efi"},
		{"another boot loader", func(r *raw) { r.put("EFI/BOOT/BOOTX64.EFI", "x") }, boot, "BOOTX64.EFI has SHA-256"},
		{"two loader.conf", func(r *raw) {
			r.put("loader/loader.cong", "timeout 0\neditor no\nsecure-boot-enroll off\n")
			r.replace(wide("r.cong"), wide("r.conf"))
		}, boot, `"/loader" has "loader.conf" twice`},
		{"two loader.conf, in other cases", func(r *raw) {
			r.put("loader/loader.cong", "timeout 0\neditor no\nsecure-boot-enroll off\n")
			r.replace(wide("r.cong"), wide("R.CONF"))
		}, boot, `"/loader" has "loadeR.CONF" twice`},
		{"two folders of one name", func(r *raw) {
			r.mtools("mmd", "::/loader2")
			r.replace("LOADER2 ", "LOADER  ")
		}, boot, `"/" has "loader" twice`},
		{"a kernel image without tries", func(r *raw) { r.mtools("mren", "::/"+linux+"+3.efi", "::/"+linux+"+0.efi") }, boot, "+0.efi should be mangos_1.2.efi"},
		{"a kernel image that was tried", func(r *raw) { r.mtools("mren", "::/"+linux+"+3.efi", "::/"+linux+"+2-1.efi") }, boot, "+2-1.efi should be mangos_1.2.efi"},
		{"a kernel image of another name", func(r *raw) { r.mtools("mren", "::/"+linux+"+3.efi", "::/"+linux+"+3.txt") }, boot, "+3.txt should be mangos_1.2.efi"},
		{"a kernel image in a folder", func(r *raw) {
			r.mtools("mmd", "::/EFI/Linux/mangos_1.2+x")
			r.mtools("mmove", "::/"+linux+"+3.efi", "::/EFI/Linux/mangos_1.2+x")
		}, boot, "+x/mangos_1.2+3.efi should be mangos_1.2.efi"},
		{"boot code", func(r *raw) { r.set(0) }, "disk", "byte 0 is"},
		{"a byte behind the table's header", func(r *raw) { r.set(512 + 92) }, "disk", "byte 604 is"},
		{"the last byte of the header's sector", func(r *raw) { r.set(1023) }, "disk", "byte 1023 is"},
		{"a byte before the first partition", func(r *raw) { r.set(1<<20 - 1) }, "disk", "before partition 1: "},
		{"a byte between partitions", func(r *raw) { r.set(r.table.Partitions[1].Start + r.table.Partitions[1].Size) }, "disk", "before partition 3: "},
		{"a byte behind the last partition", func(r *raw) { r.set(r.table.Partitions[3].Start + r.table.Partitions[3].Size) }, "disk", "behind the last partition: "},
		{"a byte in the last sector", func(r *raw) { r.set(-1) }, "disk", "second partition table: byte"},
		{"another attribute", func(r *raw) { r.retable(func(t *gpt.Table) { t.Partitions[0].Attributes |= gpt.NoAuto }) }, "disk", "partition 1 is …with attributes 0x8000000000000000, want"},
		{"no attribute", func(r *raw) { r.retable(func(t *gpt.Table) { t.Partitions[3].Attributes = 0 }) }, "disk", "partition 4 is …with attributes 0x0, want"},
		{"another disk", func(r *raw) { r.retable(func(t *gpt.Table) { t.DiskID = gpt.DeriveGUID("x") }) }, "disk", "byte "},
		{"another boot partition", func(r *raw) { r.retable(func(t *gpt.Table) { t.Partitions[0].ID = gpt.DeriveGUID("x") }) }, "disk", "partition 1 is"},
		{"another signature partition", func(r *raw) { r.retable(func(t *gpt.Table) { t.Partitions[1].ID = gpt.DeriveGUID("x") }) }, "disk", "partition 2 is"},
		{"a partition's other number", func(r *raw) { r.retable(func(t *gpt.Table) { t.Partitions[3].Number = 9 }) }, "disk", "byte "},
		{"a byte behind the hash tree", func(r *raw) { r.set(r.table.Partitions[2].Start + r.table.Partitions[2].Size - 1) }, "root-hash", "bytes after the tree: not zero"},
		{"a byte of free space", func(r *raw) { r.set(r.table.Partitions[1].Start - 1) }, boot, "there is something else than zeros"},
		{"another label", func(r *raw) { r.mtools("mlabel", "::OTHER") }, boot, "byte "},
		{"an empty folder", func(r *raw) { r.mtools("mmd", "::/empty") }, boot, "byte "},
		{"a hidden file", func(r *raw) { r.mtools("mattrib", "+h", "::/loader/loader.conf") }, boot, "byte "},
		{"a deleted file", func(r *raw) {
			r.put("x", "hidden")
			r.mtools("mdel", "::/x")
		}, boot, "byte "},
		{"another time", func(r *raw) {
			r.mtools("mdel", "::/loader/loader.conf")
			r.put("loader/loader.conf", "timeout 0\neditor no\nsecure-boot-enroll off\n")
		}, boot, "byte "},
		{"another code in the boot sector", func(r *raw) { r.set(r.table.Partitions[0].Start + 200) }, boot, "byte 200 is"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.trial(t)
			c.onRaw(row.change)
			c.fails(row.check, row.detail)
		})
	}
}
