package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/format/uki"
	"github.com/mastercard/mangos/modules/image/initrd"
)

// The boot programs, where their package has them.
const (
	bootFolder = "usr/lib/systemd/boot/efi/"
	bootLoader = bootFolder + "systemd-bootx64.efi"
	bootStub   = bootFolder + "linuxx64.efi.stub"
)

// CheckBoot holds the files of the component "boot" against the boot loader, which is
// signed, and the stub in a kernel image: these, as their package has them, and no other.
// It returns how many files that were.
func CheckBoot(doc *spdx.Document, loader []byte, image *uki.Image) (int, error) {
	bare, err := uki.Unsigned(loader)
	if err != nil {
		return 0, fmt.Errorf("check boot: boot loader: %w", err)
	}
	stubs, err := image.Stubs()
	if err != nil {
		return 0, fmt.Errorf("check boot: kernel image: %w", err)
	}
	l, err := listingOf(doc, "boot")
	if err != nil {
		return 0, fmt.Errorf("check boot: %w", err)
	}
	stub := DigestsOf(stubs[0])
	if f := l.files["./"+bootStub]; f != nil {
		for _, s := range stubs {
			if d := DigestsOf(s); d.SHA256 == SHA256(f.Checksums) {
				stub = d
			}
		}
	}
	return CheckFiles(doc, "boot", map[string]Digests{bootLoader: DigestsOf(bare), bootStub: stub})
}

// CheckMicrocode holds the files of the component "microcode" against the archive of
// microcode in a kernel image, in which they are joined: all of them, and no other. An
// image without such an archive (nil) must have no such component. It returns how many
// files that were.
func CheckMicrocode(doc *spdx.Document, archive []byte) (int, error) {
	if archive == nil {
		if componentOf(doc, "microcode") != nil {
			return 0, fmt.Errorf("check microcode: it is listed, and not in the kernel image: %w", ErrDiffers)
		}
		return 0, nil
	}
	blobs, err := initrd.ReadMicrocode(archive)
	if err != nil {
		return 0, fmt.Errorf("check microcode: %w", err)
	}
	l, err := listingOf(doc, "microcode")
	if err != nil {
		return 0, fmt.Errorf("check microcode: %w", err)
	}
	for i := range initrd.Vendors {
		v := &initrd.Vendors[i]
		if err := l.joined(v, blobs[v.Name]); err != nil {
			return 0, fmt.Errorf("check microcode: %s: %w", v.Name, err)
		}
	}
	n, err := l.complete()
	if err != nil {
		return 0, fmt.Errorf("check microcode: %w", err)
	}
	return n, nil
}

// joined holds the files of a vendor against what they are joined to.
func (l *listing) joined(v *initrd.Vendor, blob []byte) error {
	var names []string
	for name := range l.files {
		if v.Has(strings.TrimPrefix(name, "./")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := l.find(name)
		if err != nil {
			return err
		}
		n := leading(blob, v.Magic, SHA256(f.Checksums))
		if n == 0 {
			return fmt.Errorf("%s is not what follows the files before it: %w", name, ErrDiffers)
		}
		if err := sameDigests(f, DigestsOf(blob[:n])); err != nil {
			return err
		}
		blob = blob[n:]
	}
	if len(blob) > 0 {
		return fmt.Errorf("%d bytes are of no file that is listed: %w", len(blob), ErrDiffers)
	}
	return nil
}

// leading is the length of the file with a digest that blob begins with; another may
// follow, which begins with magic. It is 0 if there is none.
func leading(blob, magic []byte, digest string) int {
	h := sha256.New()
	for at := 0; at < len(blob); {
		end := len(blob)
		if n := bytes.Index(blob[at+1:], magic); n >= 0 {
			end = at + 1 + n
		}
		h.Write(blob[at:end])
		if hex.EncodeToString(h.Sum(nil)) == digest {
			return end
		}
		at = end
	}
	return 0
}
