package verify_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/attest/verify/verifytest"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/format/xz"
	"github.com/mastercard/mangos/modules/image/release"
)

// TestImageTampering: what is wrong is in the image, and checksums, statements and links
// say the same of it, as somebody who has these keys could have them say. So no other
// check than the image's own can find it.
func TestImageTampering(t *testing.T) {
	o := newOriginal(t)
	rows := []struct {
		name   string
		change func(c *copied)
		check  string
		detail string
	}{
		{"a byte of the root", func(c *copied) { c.onDisk(func(p places) int64 { return p.root.Start + 2000 }) }, "root-hash", "block "},
		{"a byte of the hash tree", func(c *copied) { c.onDisk(func(p places) int64 { return p.tree.Start + 5000 }) }, "root-hash", "hash"},
		{"a byte behind the file system", func(c *copied) { c.onDisk(func(p places) int64 { return p.root.Start + p.root.Size - 1 }) }, "root-hash", ""},
		{"a byte of the partition table", func(c *copied) { c.onDisk(func(places) int64 { return 512 + 60 }) }, "disk", ".raw.zst"},
		{"another signature on the disk than in the file", func(c *copied) {
			c.onDisk(func(p places) int64 { return p.signature.Start + 200 })
		}, "root-hash-signature", "the signature partition of the disk is not"},
		{"a root for updates with another block", (*copied).otherUpdate, "update-files", "bytes 0 to "},
		{"a value of PCR 11 that is another one", changePCR, "pcr-values", ".pcrs.json"},
		{"a root hash that another key signed", func(c *copied) { c.trustOther("verity.crt") }, "root-hash-signature", "certificate"},
		{"another certificate in the kernel", func(c *copied) { c.trustOther("verity.crt") }, "kernel", ""},
		{"programs for the firmware that another key signed", func(c *copied) { c.trustOther("secure-boot.crt") }, "secure-boot", ""},
		{"a PCR policy that another key signed", func(c *copied) { c.trustOther("pcr.pub") }, "pcr-signatures", ""},
		{"PCR policies of another bank", func(c *copied) {
			c.become(verifytest.New(c.t, c.t.TempDir(), "Example", "hello", verifytest.Bank("sha1")))
		}, "pcr-signatures", `unknown key…"sha1"`},
		{"another boot loader than the bill of materials lists", swapped("loader"), "sbom", "check boot: /usr/lib/systemd/boot/efi/systemd-bootx64.efi has…in the list"},
		{"another stub than the bill of materials lists", swapped("stub"), "sbom", "check boot: /usr/lib/systemd/boot/efi/linuxx64.efi.stub has…in the list"},
		{"other microcode than the bill of materials lists", swapped("microcode"), "sbom", "check microcode: AuthenticAMD.bin: …not what follows"},
		{"microcode behind what the bill of materials lists", swapped("rest of microcode"), "sbom", "check microcode: GenuineIntel.bin: 9 bytes are of no file that is listed"},
		{"a bill of materials in the root that says another origin", installs(func(in *sbom.Input) {
			in.Components[0].Files[0].Origin = "x"
		}), "sbom-installed", "/usr/share/mangos/sbom.spdx.json.zst: …element \"root-file-"},
		{"a bill of materials in the root that lists another file", installs(func(in *sbom.Input) {
			in.Components[0].Files[0].SHA256 = zeros
		}), "sbom-installed", "/usr/share/mangos/sbom.spdx.json.zst: …element \"root-file-"},
		{"a bill of materials in the root of another day", installs(func(in *sbom.Input) { in.Epoch++ }), "sbom-installed", "/usr/share/mangos/sbom.spdx.json.zst: …created"},
		{"a bill of materials in the root without the initrd's package", installs(func(in *sbom.Input) {
			in.Components[1].Packages = nil
		}), "sbom-installed", "/usr/share/mangos/sbom.spdx.json.zst: …version only 2…version only 3"},
		{"checksums that another key signed", func(c *copied) { c.trustOther("release.pub") }, "checksums-signature", ""},
		{"a mark of a try-out build that is not right", func(c *copied) {
			// The policy of a real one, which is a try-out build, no longer accepts that.
			c.policy = bytes.Replace(c.policy, []byte("try-out = true"), []byte("try-out = false"), 1)
			if w := c.world; w != nil {
				name := release.Name("mangos", "1.2", verity.RootHash{}, true).Image
				if err := os.Rename(c.path(w.Names.Image), c.path(name)); err != nil {
					c.t.Fatal(err)
				}
			}
		}, "try-out", "try-out"},
		{"try-out certificates behind a build without their mark", func(c *copied) {
			c.become(verifytest.New(c.t, c.t.TempDir(), "TRY-OUT Example", "hello"))
		}, "try-out", "TRY-OUT Example"},
	}
	first := o.firsts()
	for _, row := range rows {
		if !first(row.check) {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := o.trial(t)
			row.change(c)
			c.fails(row.check, row.detail)
		})
	}
}

// installs makes a release whose root has a bill of materials that is made of something
// else.
func installs(change func(*sbom.Input)) func(*copied) {
	return func(c *copied) {
		c.become(verifytest.New(c.t, c.t.TempDir(), "Example", "hello", verifytest.Installs(change)))
	}
}

// swapped makes a release whose own part for booting is another one than is listed.
func swapped(part string) func(*copied) {
	return func(c *copied) {
		c.become(verifytest.New(c.t, c.t.TempDir(), "Example", "hello", verifytest.Swapped(part)))
	}
}

// places are the partitions of a disk image.
type places struct{ signature, tree, root gpt.Partition }

// onDisk flips a bit of the disk image, in the byte that is asked for, and changes what is
// said of the image.
func (c *copied) onDisk(where func(places) int64) {
	c.t.Helper()
	name := c.find(".raw.zst")
	image := readFrames(c.t, bytes.Clone(c.read(name)))
	table, err := gpt.Read(image, image.size())
	if err != nil {
		c.t.Fatal(err)
	}
	p := places{}
	for _, part := range table.Partitions {
		switch part.Type {
		case gpt.TypeRootVeritySig:
			p.signature = part
		case gpt.TypeRootVerity:
			p.tree = part
		case gpt.TypeRoot:
			p.root = part
		}
	}
	image.flip(where(p))
	c.remake("disk", name, slices.Concat(image.frames...))
}

// otherUpdate has the first block of a file for updates say that it unpacks to something
// else.
func (c *copied) otherUpdate() {
	c.t.Helper()
	var name string
	for _, n := range c.list(c.dir) {
		if strings.HasSuffix(n, ".raw.xz") && strings.Contains(n, ".root-x86-64.") {
			name = n
		}
	}
	packed := bytes.Clone(c.read(name))
	x, err := xz.Read(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		c.t.Fatal(err)
	}
	sum, err := x.Digest(bytes.NewReader(packed), 0)
	if err != nil {
		c.t.Fatal(err)
	}
	packed[bytes.Index(packed, sum[:])] ^= 1
	c.remake("update", name, packed)
}

// changePCR changes the last digit of the last value.
func changePCR(c *copied) {
	name := c.find(".pcrs.json")
	text := bytes.Clone(c.read(name))
	at := bytes.LastIndexAny(text, "0123456789abcdef")
	text[at] ^= 1
	if !json.Valid(text) {
		c.t.Fatalf("%s is no longer JSON", name)
	}
	c.remake("sign", name, text)
}

// trustOther puts another organisation's key for a role into the policy.
func (c *copied) trustOther(file string) {
	c.t.Helper()
	role := map[string]keys.Role{
		"verity.crt": keys.Verity, "secure-boot.crt": keys.SecureBoot, "pcr.pub": keys.PCR, "release.pub": keys.Release,
	}[file]
	dir := c.t.TempDir()
	if _, err := keys.Generate(dir, keys.Options{Roles: []keys.Role{role}, Organisation: "Other"}); err != nil {
		c.t.Fatal(err)
	}
	own := bytes.TrimSpace(c.readFile(filepath.Join(c.keys, file)))
	if !bytes.Contains(c.policy, own) {
		c.t.Fatalf("the policy does not hold %s", file)
	}
	c.policy = bytes.Replace(c.policy, own, bytes.TrimSpace(c.readFile(filepath.Join(dir, file))), 1)
	if _, err := policy.Parse(c.policy); err != nil {
		c.t.Fatal(err)
	}
}
