package sbom

import (
	"debug/buildinfo"
	"fmt"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"golang.org/x/mod/module"

	"github.com/mastercard/mangos/attest/purl"
	"github.com/mastercard/mangos/attest/sourceid"
)

// programs adds the Go programs of a component with the modules that are linked
// into them.
func (b *builder) programs(c *Component, groups map[common.ElementID][]*spdx.File) error {
	for i := range c.Files {
		f := &c.Files[i]
		if f.Program == nil {
			continue
		}
		id := programID(c.Name, f.Path)
		p := &spdx.Package{
			PackageName: path.Base(f.Path), PackageSPDXIdentifier: id, PackageVersion: b.in.Version, PackageSupplier: unknown(),
			PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion,
			PackageLicenseComments: noOwnLicence, PackageCopyrightText: noAssertion, PrimaryPackagePurpose: "APPLICATION",
			PackageSourceInfo: buildSettings(f.Program),
			PackageExternalReferences: []*spdx.PackageExternalReference{
				purlRef(purl.Golang(f.Program.Main.Path, "") + "#" + strings.TrimPrefix(strings.TrimPrefix(f.Program.Path, f.Program.Main.Path), "/")),
			},
		}
		switch {
		case c.Outline:
		case b.in.said != nil:
			b.in.said.identifyProgram(p)
		case f.Source != nil:
			identifyProgram(p, f.Source.Tree.SWHID(), len(f.Source.Files))
		}
		if err := analysed(p, groups[id], ""); err != nil {
			return err
		}
		b.doc.Packages = append(b.doc.Packages, p)
		b.relate(componentID(c.Name), common.TypeRelationshipContains, id)
		if err := b.modules(id, f.Program); err != nil {
			return fmt.Errorf("/%s: %w", f.Path, err)
		}
	}
	return nil
}

// ProgramTree begins the comment of the reference to a program's source, as package
// sourceid identifies it; the number of files follows.
const ProgramTree = "the tree of go.mod, go.sum and the repository's files that it was compiled from, files: "

// identifyProgram adds the identity of a program's source, a tree of so many files. No
// commit is named: what the document is made of does not depend on the state of anybody's
// checkout.
func identifyProgram(p *spdx.Package, tree string, files int) {
	p.PackageSourceInfo += "\n" + identityNote + string(sourceid.LevelTree)
	p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{
		Category: common.CategoryPersistentId, RefType: common.TypePersistentIdSwh, Locator: tree,
		ExternalRefComment: ProgramTree + strconv.Itoa(files),
	})
}

// Why no licence is declared.
const (
	noModuleLicence = "Go modules do not declare their licence in a form that a program can read"
	noOwnLicence    = "the repository that the program is built from declares no licence"
)

// buildSettings says how a program was compiled.
func buildSettings(info *buildinfo.BuildInfo) string {
	text := "Go program " + info.Path + ", compiled by " + info.GoVersion
	revision := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "-trimpath", "-ldflags", "CGO_ENABLED":
			text += ", " + s.Key + "=" + s.Value
		case "vcs.revision":
			revision = s.Value
		}
	}
	if revision == "" {
		return text + "; it does not name its commit (-buildvcs=false)"
	}
	return text + "; commit " + revision
}

// modules adds the modules of a program, the standard library among them.
func (b *builder) modules(program common.ElementID, info *buildinfo.BuildInfo) error {
	std := stdlib(strings.TrimPrefix(info.GoVersion, "go"))
	b.add(std)
	b.relate(program, common.TypeRelationshipStaticLink, std.PackageSPDXIdentifier)
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if err := b.checkSum(m); err != nil {
			return err
		}
		p := goModule(m.Path, m.Version, m.Sum)
		b.add(p)
		b.relate(program, common.TypeRelationshipStaticLink, p.PackageSPDXIdentifier)
	}
	return nil
}

// goModule makes the element of a module.
func goModule(path, version, sum string) *spdx.Package {
	return &spdx.Package{
		PackageName: path, PackageSPDXIdentifier: moduleID(path, version), PackageVersion: version, PackageSupplier: unknown(),
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion,
		PackageLicenseComments: noModuleLicence, PackageCopyrightText: noAssertion, PrimaryPackagePurpose: "LIBRARY",
		PackageSourceInfo:         "go.sum: " + sum + moduleRevision(version),
		PackageExternalReferences: []*spdx.PackageExternalReference{purlRef(purl.Golang(path, version))},
	}
}

// stdlib makes the element of the standard library of a Go version, without "go".
func stdlib(version string) *spdx.Package {
	p := goModule("stdlib", version, "")
	p.PackageVersion = "go" + version
	p.PackageSourceInfo = "the standard library of the Go toolchain " + p.PackageVersion
	return p
}

// moduleRevision is the commit that a pseudo-version names. A version that is a
// tag names none, and what a proxy says of a tag is signed by nobody.
func moduleRevision(version string) string {
	revision, err := module.PseudoVersionRev(version)
	if err != nil {
		return "\ncommit: none proven; the sum identifies the tree"
	}
	return "\ncommit: " + revision + "… (of the version, to which the checksum database binds the sum)"
}

// checkSum holds a module against go.sum.
func (b *builder) checkSum(m *debug.Module) error {
	if m.Sum == "" {
		return fmt.Errorf("%s %s has no sum: %w", m.Path, m.Version, ErrModule)
	}
	if b.in.GoSum != nil && b.in.GoSum[module.Version{Path: m.Path, Version: m.Version}] != m.Sum {
		return fmt.Errorf("%s %s with sum %s: %w", m.Path, m.Version, m.Sum, ErrModule)
	}
	return nil
}
