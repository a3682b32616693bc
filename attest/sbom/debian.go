package sbom

import (
	"fmt"
	"path"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/purl"
	"github.com/mastercard/mangos/modules/debian/copyright"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// debs adds the packages of a component. groups holds the files of each element.
func (b *builder) debs(c *Component, groups map[common.ElementID][]*spdx.File) error {
	for _, installed := range c.Packages {
		locked := b.packages[installed.Name]
		if locked == nil || locked.Version != installed.Version {
			return fmt.Errorf("%s %s: %w", installed.Name, installed.Version, ErrUnlocked)
		}
		p := b.deb(c.Name, locked)
		b.licence(p, c.Copyright[locked.Name])
		if err := analysed(p, groups[p.PackageSPDXIdentifier], ""); err != nil {
			return err
		}
		b.doc.Packages = append(b.doc.Packages, p)
		b.relate(componentID(c.Name), common.TypeRelationshipContains, p.PackageSPDXIdentifier)
		if err := b.partOf(p.PackageSPDXIdentifier, locked.Suite); err != nil {
			return err
		}
		source, err := b.source(locked.Source + "=" + locked.SourceVersion)
		if err != nil {
			return err
		}
		b.relate(p.PackageSPDXIdentifier, common.TypeRelationshipGeneratedFrom, source)
	}
	return nil
}

// locked makes the element of a locked file.
func (b *builder) locked(name, version, suite, file, sha256 string) *spdx.Package {
	return &spdx.Package{
		PackageName: name, PackageVersion: version, PackageFileName: path.Base(file),
		PackageSupplier:         &common.Supplier{SupplierType: "Organization", Supplier: b.in.Lock.Distribution},
		PackageDownloadLocation: b.archives[suite].Home + file,
		PackageChecksums:        []common.Checksum{{Algorithm: common.SHA256, Value: sha256}},
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
	}
}

// deb makes the element of a package of a component.
func (b *builder) deb(component string, l *lock.Package) *spdx.Package {
	p := b.locked(l.Name, l.Version, l.Suite, l.Path, l.SHA256)
	p.PackageSPDXIdentifier = packageID(component, l.Name)
	p.PackageExternalReferences = []*spdx.PackageExternalReference{
		purlRef(purl.Deb(b.in.Lock.Distribution, l.Name, l.Version, l.Architecture)),
	}
	return p
}

// sourcePackage makes the element of a source package.
func (b *builder) sourcePackage(s *lock.Source) *spdx.Package {
	description := s.Files[0]
	for _, f := range s.Files {
		if strings.HasSuffix(f.Path, ".dsc") {
			description = f
		}
	}
	p := b.locked(s.Name, s.Version, s.Suite, description.Path, description.SHA256)
	p.PackageSPDXIdentifier, p.PrimaryPackagePurpose = sourceID(s.Name, s.Version), "SOURCE"
	p.PackageExternalReferences = []*spdx.PackageExternalReference{
		purlRef(purl.Deb(b.in.Lock.Distribution, s.Name, s.Version, "source")),
	}
	return p
}

// sourceFile makes the element of a file of a source package.
func (b *builder) sourceFile(s *lock.Source, f lock.File) *spdx.Package {
	p := b.locked(path.Base(f.Path), s.Version, s.Suite, f.Path, f.SHA256)
	p.PackageSPDXIdentifier, p.PrimaryPackagePurpose = sourceFileID(f.Path), "ARCHIVE"
	if strings.HasSuffix(f.Path, ".dsc") || strings.HasSuffix(f.Path, ".asc") {
		p.PrimaryPackagePurpose = "FILE"
	}
	return p
}

// suite makes the element of a suite.
func (b *builder) suite(s *lock.Suite) *spdx.Package {
	p := b.locked(s.Name, s.Date, s.Name, "dists/"+s.Name+"/Release", s.Release)
	p.PackageSPDXIdentifier, p.PrimaryPackagePurpose = suiteID(s.Name), "OTHER"
	p.PackageComment = signedBy + strings.Join(s.Signers, ", ")
	return p
}

// licence takes the declared licence from a copyright file.
func (b *builder) licence(p *spdx.Package, text []byte) {
	if text == nil && b.in.said != nil {
		b.repeated = append(b.repeated, b.in.said.licence(p)...)
		return
	}
	if text == nil {
		p.PackageLicenseComments = "the package's copyright file is not here"
		return
	}
	l, err := copyright.Parse(text)
	if err != nil {
		p.PackageLicenseComments = err.Error()
		return
	}
	p.PackageLicenseDeclared = l.Expression
	for _, t := range l.Texts {
		if b.texts[t.ID] {
			continue
		}
		b.texts[t.ID] = true
		other := &spdx.OtherLicense{LicenseIdentifier: t.ID, LicenseName: t.Name, ExtractedText: t.Text}
		if t.Text == "" {
			other.ExtractedText = t.Name
			other.LicenseComment = "the copyright file names this licence and has no text for it"
		}
		b.doc.OtherLicenses = append(b.doc.OtherLicenses, other)
	}
}

// partOf relates an element to its suite, the signed Release that names it.
func (b *builder) partOf(id common.ElementID, name string) error {
	for i := range b.in.Lock.Suites {
		if b.in.Lock.Suites[i].Name != name {
			continue
		}
		p := b.suite(&b.in.Lock.Suites[i])
		b.add(p)
		b.relate(id, common.TypeRelationshipPackageOf, p.PackageSPDXIdentifier)
		return nil
	}
	return fmt.Errorf("suite %s: %w", name, ErrUnlocked)
}

// signedBy begins the comment of a suite.
const signedBy = "the archive's signed Release; signed by "

// source adds a source package, "name=version", with its files and what is known
// of its origin.
func (b *builder) source(key string) (common.ElementID, error) {
	s := b.sources[key]
	if s == nil {
		return "", fmt.Errorf("source %s: %w", key, ErrUnlocked)
	}
	p := b.sourcePackage(s)
	if !b.add(p) {
		return p.PackageSPDXIdentifier, nil
	}
	b.identify(p, s)
	for _, f := range s.Files {
		x := b.sourceFile(s, f)
		b.add(x)
		b.relate(p.PackageSPDXIdentifier, common.TypeRelationshipContains, x.PackageSPDXIdentifier)
	}
	return p.PackageSPDXIdentifier, b.partOf(p.PackageSPDXIdentifier, s.Suite)
}

func purlRef(locator string) *spdx.PackageExternalReference {
	return &spdx.PackageExternalReference{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: locator,
	}
}
