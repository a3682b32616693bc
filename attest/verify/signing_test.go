package verify_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/mastercard/mangos/format/byterange"
	"github.com/mastercard/mangos/modules/image/unsigned"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

// TestSigningList: the list of the unsigned set lets signing change more than it does. The
// statement and the link of the step that made it say the same, as somebody who has these
// keys could have them say.
func TestSigningList(t *testing.T) {
	o := newOriginal(t)
	kernel := func(m *unsigned.Manifest, name string) *byterange.File {
		for i, f := range m.Signing.Kernel.Files {
			if f.File == name {
				return &m.Signing.Kernel.Files[i]
			}
		}
		t.Fatalf("the list has no byte ranges of %s", name)
		return nil
	}
	// all lets the whole of vmlinux change.
	all := func(m *unsigned.Manifest) {
		f := kernel(m, artifact.Vmlinux)
		f.Ranges = []byterange.Range{{Length: f.Size, What: f.Ranges[0].What}}
	}
	wider := func(m *unsigned.Manifest) {
		r := kernel(m, artifact.Vmlinux).Ranges
		r[0].Offset--
		r[0].Length++
	}
	size := func(m *unsigned.Manifest) {
		for i, f := range m.Files {
			if f.Name == unsigned.Vmlinux {
				m.Files[i].Size = 1
			}
		}
	}
	rows := []struct {
		name   string
		change func(*unsigned.Manifest)
		ranges bool // the step that packs the kernel says the same of its byte ranges
		check  string
		detail string
	}{
		{"all of vmlinux", all, false, "unsigned-set", "byte ranges of the kernel with SHA-256…the step kernel-packed made"},
		{"all of vmlinux, as the kernel's step says", all, true, "unsigned-set", "1 of vmlinux and 4 of bzImage, want 2 files, 3 and 4"},
		{"one byte more of vmlinux, as the kernel's step says", wider, true, "unsigned-set", "of vmlinux, and …they are not the same bytes"},
		{"another file of the kernel, as its step says", func(m *unsigned.Manifest) {
			m.Signing.Kernel.Files = append(m.Signing.Kernel.Files, byterange.File{File: "release", Size: 1, Ranges: []byterange.Range{{Length: 1}}})
		}, true, "unsigned-set", "byte ranges of 3 files"},
		{"no byte ranges", func(m *unsigned.Manifest) { m.Signing.Kernel = nil }, false, "kernel", "no byte ranges of the kernel"},
		{"a kernel of less than no bytes", func(m *unsigned.Manifest) { kernel(m, artifact.BzImage).Size = -1 }, false, "kernel", "size -1 with 4 ranges"},
		{"a checksum at another place", func(m *unsigned.Manifest) { kernel(m, artifact.BzImage).Ranges[3].Offset-- }, false, "kernel", "the kernel's checksum at "},
		{"vmlinux of another size", size, false, "unsigned-set", "vmlinux with 1 bytes, its byte ranges are of a file with "},
		{"the command line", func(m *unsigned.Manifest) { m.Signing.Image.Replaced[".cmdline"] = unsigned.CommandLine }, false, "unsigned-set", ".cmdline:cmdline…it changes"},
		{"the initrd", func(m *unsigned.Manifest) { m.Signing.Image.Replaced[".initrd"] = unsigned.Initrd }, false, "unsigned-set", ".initrd:initrd…it changes"},
		{"an added section", func(m *unsigned.Manifest) { m.Signing.Image.Added = append(m.Signing.Image.Added, ".dtb") }, false, "unsigned-set", ".dtb…it changes"},
		{"no certificate table", func(m *unsigned.Manifest) { m.Signing.Image.Signature = false }, false, "unsigned-set", "it changes"},
		{"every file of the boot partition", func(m *unsigned.Manifest) { m.Signing.Disk.Files["*/*"] = unsigned.Organisation }, false, "unsigned-set", "*/*:organisation…it changes"},
		{"the boot loader as the organisation's", func(m *unsigned.Manifest) {
			m.Signing.Disk.Files["EFI/BOOT/BOOTX64.EFI"] = unsigned.Organisation
		}, false, "unsigned-set", "BOOTX64.EFI:organisation…it changes"},
		{"the root as the signature", func(m *unsigned.Manifest) {
			m.Signing.Disk.Signature = strings.TrimSuffix(m.Signing.Disk.Signature, "_verity_sig")
		}, false, "unsigned-set", "it changes"},
		{"the root as the boot partition", func(m *unsigned.Manifest) { m.Signing.Disk.Boot = m.Name + "_" + m.Version }, false, "unsigned-set", "it changes"},
	}
	first := o.firsts()
	for _, row := range rows {
		if !first(row.check) {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.copy(t)
			c.relist(row.change, row.ranges)
			c.fails(row.check, row.detail)
		})
	}
}

// relist changes the list of the unsigned set, and what is said of it; where ranges is set,
// also what is said of the kernel's byte ranges.
func (c *copied) relist(change func(*unsigned.Manifest), ranges bool) {
	c.t.Helper()
	list := c.find(".unsigned.json")
	m, err := unsigned.Read(bytes.NewReader(c.read(list)))
	if err != nil {
		c.t.Fatal(err)
	}
	text := func() []byte {
		b, err := m.Signing.Kernel.JSON()
		if err != nil {
			c.t.Fatal(err)
		}
		return b
	}
	was := text()
	change(m)
	b, err := m.JSON()
	if err != nil {
		c.t.Fatal(err)
	}
	c.remake("uki", list, b)
	if !ranges {
		return
	}
	const name = "kernel/" + artifact.Ranges
	is := in_toto.HashObj{"sha256": digest(text())}
	for _, step := range []string{"kernel-packed", "certificate", "uki", "sbom"} {
		c.restate(step, digest(was), digest(text()))
		c.relink(step, func(l *in_toto.Link) {
			for _, side := range []map[string]in_toto.HashObj{l.Materials, l.Products} {
				if _, had := side[name]; had {
					side[name] = is
				}
			}
		})
	}
}
