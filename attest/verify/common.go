package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// makers are the steps that make the files of the unsigned set, and their names
// there.
var makers = map[string]struct{ step, name string }{
	unsigned.Root:        {"erofs", "root.erofs"},
	unsigned.OSRelease:   {"erofs", "os-release"},
	unsigned.Tree:        {"verity", "root.verity"},
	unsigned.RootHash:    {"verity", "roothash"},
	unsigned.Vmlinux:     {"kernel-packed", "kernel/vmlinux"},
	unsigned.BzImage:     {"kernel-packed", "kernel/bzImage"},
	unsigned.Uname:       {"kernel-packed", "kernel/release"},
	unsigned.Microcode:   {"microcode", "microcode.cpio"},
	unsigned.Initrd:      {"uki", "initrd"},
	unsigned.CommandLine: {"uki", "cmdline"},
	unsigned.UKI:         {"uki", "uki.efi"},
	unsigned.SBOM:        {"sbom", ""}, // the release's file
}

// listed compares content with what the list of the unsigned set says of a file.
func (m *image) listed(name string, content []byte) error {
	sum := sha256.Sum256(content)
	return m.listedDigest(name, sum[:], int64(len(content)))
}

func (m *image) listedDigest(name string, sum []byte, size int64) error {
	for _, f := range m.manifest.Files {
		if f.Name != name {
			continue
		}
		if f.SHA256 != hex.EncodeToString(sum) || f.Size != size {
			return fmt.Errorf("%s has SHA-256 %x, the list of the unsigned set says %s", name, sum, f.SHA256)
		}
		return nil
	}
	return fmt.Errorf("the list of the unsigned set has no %s", name)
}

// checkUnsigned holds the list of the unsigned set against what is in the disk
// and the kernel image, and against the statements; and what it says that signing may
// change against what that is.
func (m *image) checkUnsigned(r *folder, all statements) (string, error) {
	contents, err := m.unsignedContents()
	if err != nil {
		return "", err
	}
	if contents[unsigned.SBOM], err = r.small(m.sbomName()); err != nil {
		return "", err
	}
	for name, content := range contents {
		if err := m.listed(name, content); err != nil {
			return "", err
		}
	}
	if err := m.listedDigest(unsigned.Root, m.scan.sum, m.volume.data.Size()); err != nil {
		return "", err
	}
	seen := map[string]bool{}
	for _, f := range m.manifest.Files {
		from, known := makers[f.Name]
		if !known || seen[f.Name] {
			return "", fmt.Errorf("the list of the unsigned set has %q, which has no place there", f.Name)
		}
		seen[f.Name] = true
		if from.name == "" {
			from.name = m.sbomName()
		}
		made, err := all.product(from.step, from.name)
		if err != nil {
			return "", err
		}
		if made != f.SHA256 {
			return "", fmt.Errorf("%s: the list of the unsigned set says %s, the step %s made %s", f.Name, f.SHA256, from.step, made)
		}
	}
	for name := range makers {
		if !seen[name] && name != unsigned.Microcode {
			return "", fmt.Errorf("the list of the unsigned set has no %s", name)
		}
	}
	if err := m.checkSigning(all); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d files as listed and made; the kernel image has their normal form, and nothing else may differ", len(seen)), nil
}

// unsignedContents takes the files of the unsigned set out of the image.
func (m *image) unsignedContents() (map[string][]byte, error) {
	osRelease, _ := unified.UnmarkTryOut(m.uki.Section(".osrel"))
	contents := map[string][]byte{
		unsigned.Tree:        m.volume.hashes.Bytes(),
		unsigned.RootHash:    []byte(m.root.String() + "\n"),
		unsigned.UKI:         m.form,
		unsigned.OSRelease:   osRelease,
		unsigned.CommandLine: m.uki.Section(".cmdline"),
		unsigned.Initrd:      m.uki.Section(".initrd"),
		unsigned.Uname:       m.uname(),
	}
	if microcode := m.uki.Section(".ucode"); microcode != nil {
		contents[unsigned.Microcode] = microcode
	}
	if !bytes.HasPrefix(contents[unsigned.CommandLine], []byte("roothash="+m.root.String()+" ")) {
		return nil, fmt.Errorf("the command line does not begin with the root hash %s", m.root)
	}
	return contents, nil
}
