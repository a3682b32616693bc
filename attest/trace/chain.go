package trace

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// file takes what is known of a file, and of what contains it.
func (r *Release) file(result *Result, f *spdx.File) error {
	result.Path = strings.TrimPrefix(f.FileName, ".")
	result.SHA256 = sbom.SHA256(f.Checksums)
	result.Origin = sbom.Origin(f)
	if target, ok := sbom.Target(f); ok {
		result.Links = append(result.Links, Link{Path: result.Path, Target: target})
	}
	name := sbom.ComponentOf(f.FileSPDXIdentifier)
	component, err := r.index.Package(common.ElementID("component-" + name))
	if err != nil {
		return err
	}
	if component == nil {
		return fmt.Errorf("%s is of the component %q, which is not there: %w", f.FileName, name, sbom.ErrDocument)
	}
	result.Component, result.Title = name, component.PackageName
	p, err := r.container(f)
	switch {
	case err != nil:
		return err
	case p == nil:
		return fmt.Errorf("%s is contained by nothing: %w", f.FileName, sbom.ErrDocument)
	case isProgram(p.PackageSPDXIdentifier):
		return r.program(result, p)
	case isPackage(p.PackageSPDXIdentifier):
		return r.pkg(result, p)
	}
	return r.source(result, p) // the kernel has one
}

// component takes what is known of a part of the image.
func (r *Release) component(result *Result, name string) error {
	p, err := r.index.Package(common.ElementID("component-" + name))
	if err != nil {
		return err
	}
	if p == nil {
		return ErrUnknown
	}
	result.Component, result.Title, result.SHA256 = name, p.PackageName, sbom.SHA256(p.PackageChecksums)
	result.Origin = p.PackageComment
	return r.source(result, p)
}

// element takes what is known of what is no file of the image.
func (r *Release) element(result *Result, p *spdx.Package, digest string) error {
	id := p.PackageSPDXIdentifier
	result.SHA256, result.Path = digest, p.PackageFileName
	switch {
	case isPackage(id):
		result.Title = "package of the distribution"
		return r.pkg(result, p)
	case strings.HasPrefix(string(id), "sourcefile-"):
		result.Title = "file of a source package"
		ids, err := r.index.To(id, common.TypeRelationshipContains)
		if err != nil || len(ids) == 0 {
			return err
		}
		source, err := r.index.Package(ids[0])
		if err != nil || source == nil {
			return err
		}
		return r.sourcePackage(result, source)
	case strings.HasPrefix(string(id), "source-"):
		result.Title = "source package"
		return r.sourcePackage(result, p)
	case strings.HasPrefix(string(id), "suite-"):
		result.Title = "signed Release of the distribution"
		result.Locked = suite(p)
		result.Locked.Name, result.Locked.SHA256 = p.PackageFileName, digest
		return nil
	}
	return r.component(result, strings.TrimPrefix(string(id), "component-"))
}

// program takes what is known of a Go program.
func (r *Release) program(result *Result, p *spdx.Package) error {
	build, _, _ := strings.Cut(p.PackageSourceInfo, "\n") // the level of the identity follows
	result.Program = &Program{Name: p.PackageName, PURL: purl(p), Build: build}
	for _, ref := range p.PackageExternalReferences {
		if ref.RefType == common.TypePersistentIdSwh && strings.HasPrefix(ref.ExternalRefComment, sbom.ProgramTree) {
			result.Program.SWHID, result.Program.Tree = ref.Locator, ref.ExternalRefComment
		}
	}
	ids, err := r.index.From(p.PackageSPDXIdentifier, common.TypeRelationshipStaticLink)
	if err != nil {
		return err
	}
	for _, id := range ids {
		m, err := r.index.Package(id)
		if err != nil {
			return err
		}
		if m == nil {
			return fmt.Errorf("module %s is not there: %w", id, sbom.ErrDocument)
		}
		result.Program.Modules = append(result.Program.Modules, Module{m.PackageName, m.PackageVersion, m.PackageSourceInfo})
	}
	return nil
}

// pkg takes what is known of a package, its source and its place in the lock.
func (r *Release) pkg(result *Result, p *spdx.Package) error {
	result.Package = &Package{
		Name: p.PackageName, Version: p.PackageVersion, PURL: purl(p), File: p.PackageFileName,
		SHA256: sbom.SHA256(p.PackageChecksums), Licence: p.PackageLicenseDeclared, LicenceNote: p.PackageLicenseComments,
	}
	locked, err := r.locked(p)
	if err != nil {
		return err
	}
	result.Locked = locked
	if r.lock != nil {
		if err := r.agree(result.Package, locked); err != nil {
			return err
		}
	}
	return r.source(result, p)
}

// locked is the way from a locked file to the signed Release.
func (r *Release) locked(p *spdx.Package) (*Locked, error) {
	ids, err := r.index.From(p.PackageSPDXIdentifier, common.TypeRelationshipPackageOf)
	if err != nil {
		return nil, err
	}
	if len(ids) != 1 {
		return nil, fmt.Errorf("%s is of %d suites: %w", p.PackageName, len(ids), sbom.ErrDocument)
	}
	s, err := r.index.Package(ids[0])
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("suite %s is not there: %w", ids[0], sbom.ErrDocument)
	}
	l := suite(s)
	l.Name, l.Home, l.SHA256 = p.PackageFileName, p.PackageDownloadLocation, sbom.SHA256(p.PackageChecksums)
	return l, nil
}

// suite is what is known of a signed Release.
func suite(s *spdx.Package) *Locked {
	return &Locked{Suite: s.PackageName, Date: s.PackageVersion, Release: sbom.SHA256(s.PackageChecksums), Signed: sbom.Signers(s)}
}

// errLock says that the bill of materials and the lock contradict each other.
var errLock = errors.New("bill of materials and lock differ")

// agree holds a package and its suite against the lock.
func (r *Release) agree(p *Package, l *Locked) error {
	i := slices.IndexFunc(r.lock.Packages, func(x lock.Package) bool { return x.Name == p.Name })
	switch {
	case i < 0:
		return fmt.Errorf("%s has no package %s: %w", r.lockName, p.Name, errLock)
	case r.lock.Packages[i].Version != p.Version || r.lock.Packages[i].SHA256 != p.SHA256 || r.lock.Packages[i].Suite != l.Suite:
		return fmt.Errorf("%s has package %s %s with SHA-256 %s: %w", r.lockName, p.Name, r.lock.Packages[i].Version, r.lock.Packages[i].SHA256, errLock)
	}
	return r.agreeSuite(l)
}

// agreeSuite holds a suite against the lock.
func (r *Release) agreeSuite(l *Locked) error {
	i := slices.IndexFunc(r.lock.Suites, func(x lock.Suite) bool { return x.Name == l.Suite })
	if i < 0 || r.lock.Suites[i].Release != l.Release || strings.Join(r.lock.Suites[i].Signers, ", ") != l.Signed {
		return fmt.Errorf("%s has another Release of %s: %w", r.lockName, l.Suite, errLock)
	}
	l.Lock = r.lockName
	return nil
}

// source takes what is known of the source that an element was made from.
func (r *Release) source(result *Result, p *spdx.Package) error {
	ids, err := r.index.From(p.PackageSPDXIdentifier, common.TypeRelationshipGeneratedFrom)
	if err != nil || len(ids) == 0 {
		return err
	}
	s, err := r.index.Package(ids[0])
	if err != nil {
		return err
	}
	if s == nil {
		return fmt.Errorf("source %s is not there: %w", ids[0], sbom.ErrDocument)
	}
	return r.sourcePackage(result, s)
}

func (r *Release) sourcePackage(result *Result, s *spdx.Package) error {
	x := &Source{Name: s.PackageName, Version: s.PackageVersion, PURL: purl(s)}
	result.Source = x
	if result.Locked == nil {
		locked, err := r.locked(s)
		if err != nil {
			return err
		}
		result.Locked = locked
	}
	ids, err := r.index.From(s.PackageSPDXIdentifier, common.TypeRelationshipContains)
	if err != nil {
		return err
	}
	for _, id := range ids {
		f, err := r.index.Package(id)
		if err != nil {
			return err
		}
		if f == nil {
			return fmt.Errorf("source file %s is not there: %w", id, sbom.ErrDocument)
		}
		x.Files = append(x.Files, SourceFile{f.PackageFileName, sbom.SHA256(f.PackageChecksums)})
	}
	x.identity(s)
	if r.lock != nil {
		return r.agreeSource(x, result)
	}
	return nil
}

// agreeSource holds a source package against the lock: each of its files must stand there,
// and no other. Where the source itself is what was locked, its suite must agree, too.
func (r *Release) agreeSource(x *Source, result *Result) error {
	i := slices.IndexFunc(r.lock.Sources, func(s lock.Source) bool { return s.Name == x.Name && s.Version == x.Version })
	if i < 0 {
		return fmt.Errorf("%s has no source %s %s: %w", r.lockName, x.Name, x.Version, errLock)
	}
	locked := r.lock.Sources[i]
	for _, f := range locked.Files {
		if !slices.Contains(x.Files, SourceFile{path.Base(f.Path), f.SHA256}) {
			return fmt.Errorf("%s has file %s of source %s with SHA-256 %s: %w", r.lockName, path.Base(f.Path), x.Name, f.SHA256, errLock)
		}
	}
	if len(locked.Files) != len(x.Files) {
		return fmt.Errorf("%s has %d files of source %s, not %d: %w", r.lockName, len(locked.Files), x.Name, len(x.Files), errLock)
	}
	if result.Package != nil {
		return nil
	}
	return r.agreeSuite(result.Locked)
}

// identity reads the identity of a source as package sbom writes it.
func (x *Source) identity(s *spdx.Package) {
	for line := range strings.SplitSeq(s.PackageSourceInfo, "\n") {
		if level, ok := strings.CutPrefix(line, "identity: "); ok {
			x.Level = level
		} else {
			x.Declared = append(x.Declared, line)
		}
	}
	for _, ref := range s.PackageExternalReferences {
		if ref.RefType != common.TypePersistentIdSwh {
			continue
		}
		switch commit, ok := strings.CutPrefix(ref.Locator, "swh:1:rev:"); {
		case !ok:
			x.SWHID, x.Tree = ref.Locator, strings.TrimPrefix(ref.ExternalRefComment, "the tree in ")
		case ref.ExternalRefComment == sbom.DebianCommit:
			x.DebianCommit = commit
		default:
			x.Commit, x.Proof = commit, strings.TrimPrefix(ref.ExternalRefComment, "proven by: ")
		}
	}
}

// purl is an element's package URL.
func purl(p *spdx.Package) string {
	for _, ref := range p.PackageExternalReferences {
		if ref.RefType == common.TypePackageManagerPURL {
			return ref.Locator
		}
	}
	return ""
}
