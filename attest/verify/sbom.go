package verify

import (
	"context"
	"fmt"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/format/erofs"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/image/unsigned"
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
// root on the disk, of the initrd in the kernel image, and of the kernel as it was
// made.
func (m *image) checkSBOM(ctx context.Context, all statements, doc *spdx.Document) (string, error) {
	rootFiles, err := m.checkListedRoot(ctx, doc)
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.sbomName(), err)
	}
	initrdFiles, err := sbom.CheckInitrd(doc, m.uki.Section(".initrd"), string(m.uki.Section(".cmdline")))
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.sbomName(), err)
	}
	kernelFiles, err := sbom.CheckFiles(doc, "kernel", all.folder("kernel-packed", "kernel/"))
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.sbomName(), err)
	}
	return fmt.Sprintf("%d files of the root, %d of the initrd, %d of the kernel, all and no other", rootFiles, initrdFiles, kernelFiles), nil
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
