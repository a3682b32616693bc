package verify

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/record"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/format/dpkg"
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
func (m *image) madeKernel(all statements) map[string]sbom.Digests {
	digests := map[string]sbom.Digests{}
	for name, sum := range all.folder("kernel-packed", "kernel/") {
		digests[name] = sbom.Digests{SHA256: sum}
	}
	digests[artifact.BzImage] = sbom.DigestsOf(m.kernel)
	digests[artifact.Release] = sbom.DigestsOf(m.uname())
	return digests
}

// uname is what the kernel calls itself, as its file has it.
func (m *image) uname() []byte { return append(bytes.Clone(m.uki.Section(".uname")), '\n') }

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
	return n, sbom.CheckArtifact(doc, "root", m.rootDigest())
}

// rootDigest is the SHA-256 of the root's image, as the list of the unsigned set has it;
// empty if that list has none.
func (m *image) rootDigest() string {
	for _, f := range m.manifest.Files {
		if f.Name == unsigned.Root {
			return f.SHA256
		}
	}
	return ""
}

// sourcesSuffix ends the name of the identities of the sources.
const sourcesSuffix = ".sources.json"

// readSources reads the identities of the sources among the release's files, which
// accounted for are the repository's.
func readSources(r *folder) (*sourceid.Set, error) {
	name, err := r.one(sourcesSuffix)
	if err != nil {
		return nil, err
	}
	text, err := r.small(name)
	if err != nil {
		return nil, err
	}
	set, err := sourceid.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return set, nil
}

// rebuildSBOM finds out what the bill of materials must be made of.
func (m *image) rebuildSBOM(r *folder, all statements, doc *spdx.Document, l *lock.Lock) (*sbom.Input, error) {
	sums, err := readGoSum(r)
	if err != nil {
		return nil, err
	}
	sources, err := readSources(r)
	if err != nil {
		return nil, err
	}
	k := &sbom.Known{
		Name: m.manifest.Name, Version: m.manifest.Version, Lock: l, GoSum: sums, Sources: sources,
		RootImage: sbom.Artifact{Name: unsigned.Root, SHA256: m.rootDigest()},
		Initrd:    m.uki.Section(".initrd"), CommandLine: string(m.uki.Section(".cmdline")),
		Release: strings.TrimSpace(string(m.uname())), Programs: map[string]string{},
		Packages: map[string][]dpkg.Package{},
	}
	if k.Root, err = erofs.Open(m.volume.data, m.volume.data.Size()); err != nil {
		return nil, err
	}
	if s := all["sbom"]; s != nil {
		for name, d := range s.inputs {
			if path, ok := strings.CutPrefix(name, "device/"); ok {
				k.Programs[path] = d.SHA256()
			}
		}
	}
	for component, step := range map[string]string{"initrd": "tree-initrd", "microcode": "tree-microcode", "boot": "sbom"} {
		k.Packages[component] = all.packages(step, l)
	}
	in, err := sbom.Rebuild(doc, k)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.sbomName(), err)
	}
	return in, nil
}

// packages are those of the lock that a step had.
func (all statements) packages(step string, l *lock.Lock) []dpkg.Package {
	s := all[step]
	if s == nil {
		return nil
	}
	archives := map[string]string{}
	for _, suite := range l.Suites {
		archives[suite.Name] = suite.Archive
	}
	var list []dpkg.Package
	for _, p := range l.Packages {
		if _, had := s.inputs[record.LockedName(archives[p.Suite], p.Path)]; had {
			list = append(list, dpkg.Package{Name: p.Name, Version: p.Version})
		}
	}
	return list
}

// checkSBOMRebuilt makes the bill of materials anew.
func (m *image) checkSBOMRebuilt(doc *spdx.Document, in *sbom.Input) (string, error) {
	if err := sbom.CheckRebuilt(doc, in); err != nil {
		return "", fmt.Errorf("%s: %w", m.sbomName(), err)
	}
	return fmt.Sprintf("%d elements, as they are made of the lock, the sources' identities, go.sum and the files", len(doc.Packages)), nil
}

// checkSBOMInstalled holds the bill of materials in the root against the release's.
func (m *image) checkSBOMInstalled(in *sbom.Input) (string, error) {
	root, err := erofs.Open(m.volume.data, m.volume.data.Size())
	if err != nil {
		return "", err
	}
	if err := sbom.CheckInstalled(root, in); err != nil {
		return "", err
	}
	return fmt.Sprintf("/%s says of the root what %s says", sbom.InstalledPath, m.sbomName()), nil
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
