package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/format/erofs"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/image/unsigned"
	"github.com/mastercard/mangos/modules/kernel/artifact"
)

// sbomName is the name of the bill of materials in the release.
func (m *image) sbomName() string { return m.manifest.Name + "_" + m.manifest.Version + ".spdx.json" }

// readSBOM reads the bill of materials.
func (m *image) readSBOM(r *folder) (*spdx.Document, error) {
	text, err := r.small(m.sbomName())
	if err != nil {
		return nil, err
	}
	doc, err := sbom.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.sbomName(), err)
	}
	return doc, nil
}

// checkSBOM holds the files that the bill of materials lists against those of the
// root on the disk, of the initrd, the kernel, the stub and the microcode in the kernel
// image, and against the boot loader. What a kernel has beside its image is held against
// what was made.
func (m *image) checkSBOM(ctx context.Context, all statements, doc *spdx.Document, loader []byte) (string, error) {
	var counts []any
	for _, check := range []func() (int, error){
		func() (int, error) { return m.checkListedRoot(ctx, doc) },
		func() (int, error) {
			return sbom.CheckInitrd(doc, m.uki.Section(".initrd"), string(m.uki.Section(".cmdline")))
		},
		func() (int, error) { return sbom.CheckFiles(doc, "kernel", m.madeKernel(all)) },
		func() (int, error) { return sbom.CheckBoot(doc, loader, m.uki) },
		func() (int, error) { return sbom.CheckMicrocode(doc, m.uki.Section(".ucode")) },
	} {
		n, err := check()
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.sbomName(), err)
		}
		counts = append(counts, n)
	}
	return fmt.Sprintf("%d files of the root, %d of the initrd, %d of the kernel, %d to boot it, %d of microcode, all and no other", counts...), nil
}

// madeKernel are the digests of a kernel's files: of the one in the kernel image, without
// its certificate, and of the others as the step that packs them made them.
func (m *image) madeKernel(all statements) map[string]string {
	digests := all.folder("kernel-packed", "kernel/")
	sum := sha256.Sum256(m.kernel)
	digests[artifact.BzImage] = hex.EncodeToString(sum[:])
	return digests
}

// checkListedRoot holds the files of the root, their packages, and its image against
// the list.
func (m *image) checkListedRoot(ctx context.Context, doc *spdx.Document) (int, error) {
	root, err := erofs.Open(m.volume.data, m.volume.data.Size())
	if err != nil {
		return 0, err
	}
	n, err := sbom.CheckImage(ctx, doc, "root", root)
	if err != nil {
		return 0, err
	}
	if _, err := sbom.CheckOwners(doc, "root", root); err != nil {
		return 0, err
	}
	for _, f := range m.manifest.Files {
		if f.Name == unsigned.Root {
			err = sbom.CheckArtifact(doc, "root", f.SHA256)
		}
	}
	return n, err
}

// checkSBOMLock holds the packages, sources, suites and Go modules of the bill of
// materials against the lock and go.sum.
func (m *image) checkSBOMLock(r *folder, doc *spdx.Document, l *lock.Lock) (string, error) {
	sums, err := readGoSum(r)
	if err != nil {
		return "", err
	}
	found, err := sbom.CheckLock(doc, l, sums)
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.sbomName(), err)
	}
	return fmt.Sprintf("%d packages and %d sources as the lock has them, %d Go modules", found.Packages, found.Sources, found.Modules), nil
}
