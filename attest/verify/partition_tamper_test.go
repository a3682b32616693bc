package verify_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/attest/internal/oracle"
	"github.com/mastercard/mangos/format/gpt"
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

// wide is a text in UTF-16.
func wide(s string) string {
	var b []byte
	for _, c := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(c))
	}
	return string(b)
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
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.copy(t)
			own := *o
			c.original = &own
			c.onRaw(row.change)
			c.seal()
			got := failed(t, c.run())
			if detail, ok := got[row.check]; !ok || !says(detail, row.detail) {
				t.Errorf("the check %s should say %q; failed: %q", row.check, row.detail, got)
			}
		})
	}
}
