package sbom

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"golang.org/x/mod/module"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/modules/debian/lock"
)

// Locked counts what a document has of a lock and a go.sum.
type Locked struct{ Packages, Sources, Modules int }

// CheckLock holds all elements of a document but its files against a lock, which is
// sound, and a go.sum. A package of the distribution, a source package, each file of
// it and a suite must be what the lock says of it: name, version, file, digest,
// package URL, and of which source, suite and files. The kernel must be of a source
// that the lock has built. A Go module must have the sum that stands in go.sum. What
// is none of these has no place in a document. Each file must be contained by one
// element, of its own component.
//
// Licences, and what is said of a source's commit and tree, stand in no lock.
func CheckLock(doc *spdx.Document, l *lock.Lock, sums gosum.Sums) (*Locked, error) {
	c := newLockCheck(doc, l, sums)
	found := &Locked{}
	for _, p := range doc.Packages {
		if err := c.element(p, found); err != nil {
			return nil, fmt.Errorf("check %s: %w", p.PackageSPDXIdentifier, err)
		}
	}
	if err := c.relations(doc); err != nil {
		return nil, fmt.Errorf("check relationships: %w", err)
	}
	if found.Packages == 0 {
		return nil, fmt.Errorf("check lock: the document has no package: %w", ErrDiffers)
	}
	return found, nil
}

// lockCheck knows how the elements of a lock are written.
type lockCheck struct {
	*builder
	elements map[common.ElementID][]*spdx.Package // sources, files of them, suites
	locked   map[common.ElementID]*lock.Source
	ids      map[common.ElementID]bool // of the document's elements
	from, to map[relation][]common.ElementID
}

// relation is one end of a relationship.
type relation struct {
	id   common.ElementID
	kind string
}

func newLockCheck(doc *spdx.Document, l *lock.Lock, sums gosum.Sums) *lockCheck {
	c := &lockCheck{
		builder: newBuilder(Input{Lock: l, GoSum: sums}), elements: map[common.ElementID][]*spdx.Package{},
		locked: map[common.ElementID]*lock.Source{}, ids: map[common.ElementID]bool{documentID: true},
		from: map[relation][]common.ElementID{}, to: map[relation][]common.ElementID{},
	}
	know := func(p *spdx.Package) {
		c.elements[p.PackageSPDXIdentifier] = append(c.elements[p.PackageSPDXIdentifier], p)
	}
	for i := range l.Sources {
		s := &l.Sources[i]
		know(c.sourcePackage(s))
		c.locked[sourceID(s.Name, s.Version)] = s
		for _, f := range s.Files {
			know(c.sourceFile(s, f))
		}
	}
	for i := range l.Suites {
		know(c.suite(&l.Suites[i]))
	}
	for _, r := range doc.Relationships {
		a, b := r.RefA.ElementRefID, r.RefB.ElementRefID
		c.from[relation{a, r.Relationship}] = append(c.from[relation{a, r.Relationship}], b)
		c.to[relation{b, r.Relationship}] = append(c.to[relation{b, r.Relationship}], a)
	}
	return c
}

// element checks an element by its kind.
func (c *lockCheck) element(p *spdx.Package, found *Locked) error {
	id := p.PackageSPDXIdentifier
	if c.ids[id] {
		return fmt.Errorf("it stands there twice: %w", ErrDiffers)
	}
	c.ids[id] = true
	kind, _, _ := strings.Cut(string(id), "-")
	switch kind {
	case "component":
		return c.part(p)
	case "module":
		found.Modules++
		return c.goModule(p)
	case "source":
		found.Sources++
		return c.sourceOf(p)
	case "sourcefile", "suite":
		return sameElement(p, c.elements[id]...)
	}
	if strings.HasPrefix(string(id), kind+"-program-") && slices.Contains(components, kind) {
		return c.contained(id, kind)
	}
	found.Packages++
	return c.debian(p, kind)
}

// part checks a component. Only the kernel is of a source.
func (c *lockCheck) part(p *spdx.Package) error {
	id := p.PackageSPDXIdentifier
	name := strings.TrimPrefix(string(id), "component-")
	if !slices.Contains(components, name) {
		return fmt.Errorf("there is no such part: %w", ErrDiffers)
	}
	for _, r := range p.PackageExternalReferences {
		if name != "kernel" || r.RefType != common.TypeSecurityCPE23Type || r.Locator != kernelCPE(p.PackageVersion) {
			return fmt.Errorf("it has the reference %.120q: %w", r.Locator, ErrDiffers)
		}
	}
	sources := c.from[relation{id, common.TypeRelationshipGeneratedFrom}]
	if name != "kernel" {
		return exactly("is of the sources", sources)
	}
	if len(sources) != 1 {
		return fmt.Errorf("it is of %d sources: %w", len(sources), ErrDiffers)
	}
	s := c.locked[sources[0]]
	if s == nil || !slices.Contains(c.in.Lock.Build, s.Name+"="+s.Version) || p.PackageVersion != upstream(s.Version) {
		return fmt.Errorf("version %.80q is of the source %s, which is not the one that the lock has built: %w", p.PackageVersion, sources[0], ErrDiffers)
	}
	return nil
}

// debian checks a package of the distribution in a component.
func (c *lockCheck) debian(p *spdx.Package, component string) error {
	l := c.packages[p.PackageName]
	if l == nil || !slices.Contains(components, component) {
		return fmt.Errorf("the lock has no package %.80q: %w", p.PackageName, ErrDiffers)
	}
	if err := sameElement(p, c.deb(component, l)); err != nil {
		return err
	}
	id := p.PackageSPDXIdentifier
	source := sourceID(l.Source, l.SourceVersion)
	if err := exactly("is of the sources", c.from[relation{id, common.TypeRelationshipGeneratedFrom}], source); err != nil {
		return err
	}
	if err := exactly("is of the suites", c.from[relation{id, common.TypeRelationshipPackageOf}], suiteID(l.Suite)); err != nil {
		return err
	}
	return c.contained(id, component)
}

// contained makes sure that a component, and nothing else, contains an element.
func (c *lockCheck) contained(id common.ElementID, component string) error {
	return exactly("is contained by", c.to[relation{id, common.TypeRelationshipContains}], componentID(component))
}

// sourceOf checks a source package.
func (c *lockCheck) sourceOf(p *spdx.Package) error {
	id := p.PackageSPDXIdentifier
	if err := sameElement(p, c.elements[id]...); err != nil {
		return err
	}
	s := c.locked[id]
	files := make([]common.ElementID, len(s.Files))
	for i, f := range s.Files {
		files[i] = sourceFileID(f.Path)
	}
	if err := exactly("contains", c.from[relation{id, common.TypeRelationshipContains}], files...); err != nil {
		return err
	}
	return exactly("is of the suites", c.from[relation{id, common.TypeRelationshipPackageOf}], suiteID(s.Suite))
}

// goModule checks a Go module. The standard library has no sum: it is of the
// toolchain.
func (c *lockCheck) goModule(p *spdx.Package) error {
	if version, ok := strings.CutPrefix(p.PackageVersion, "go"); ok && p.PackageName == "stdlib" {
		return sameElement(p, stdlib(version))
	}
	sum := c.in.GoSum[module.Version{Path: p.PackageName, Version: p.PackageVersion}]
	want := goModule(p.PackageName, p.PackageVersion, sum)
	if sum == "" || p.PackageSourceInfo != want.PackageSourceInfo {
		return fmt.Errorf("it has %.120q, go.sum has the sum %q: %w", p.PackageSourceInfo, sum, ErrDiffers)
	}
	return sameElement(p, want)
}

// relations makes sure that the ends of relationships are there, and that each file
// is in one element of its component.
func (c *lockCheck) relations(doc *spdx.Document) error {
	for _, f := range doc.Files {
		id := f.FileSPDXIdentifier
		component := ComponentOf(id)
		parents := c.to[relation{id, common.TypeRelationshipContains}]
		if c.ids[id] || len(parents) != 1 || ComponentOf(parents[0]) != component || !c.ids[componentID(component)] {
			return fmt.Errorf("%s is contained by %.200q, and not by one element of its component: %w", f.FileName, parents, ErrDiffers)
		}
		c.ids[id] = true
	}
	for _, r := range doc.Relationships {
		a, b := r.RefA, r.RefB
		if !c.ids[a.ElementRefID] || !c.ids[b.ElementRefID] || a.DocumentRefID+b.DocumentRefID != "" {
			return fmt.Errorf("%s %s %s is about what is not there: %w", a.ElementRefID, r.Relationship, b.ElementRefID, ErrDiffers)
		}
	}
	return nil
}

// sameElement holds an element against what it may be.
func sameElement(p *spdx.Package, may ...*spdx.Package) error {
	for _, want := range may {
		if slices.Equal(identity(p), identity(want)) {
			return nil
		}
	}
	if len(may) == 0 {
		return fmt.Errorf("the lock has nothing of that kind and name: %w", ErrDiffers)
	}
	return fmt.Errorf("it is %q, and should be %q: %w", identity(p), identity(may[0]), ErrDiffers)
}

// identity is what a lock says of an element: not the tree and the commit of a
// source.
func identity(p *spdx.Package) []string {
	text := []string{
		string(p.PackageSPDXIdentifier), p.PackageName, p.PackageVersion, p.PackageFileName, p.PackageDownloadLocation,
		p.PrimaryPackagePurpose, p.PackageComment,
	}
	if p.PackageSupplier != nil {
		text = append(text, p.PackageSupplier.SupplierType, p.PackageSupplier.Supplier)
	}
	for _, c := range p.PackageChecksums {
		text = append(text, string(c.Algorithm), c.Value)
	}
	for _, r := range p.PackageExternalReferences {
		if r.RefType != common.TypePersistentIdSwh || p.PrimaryPackagePurpose != "SOURCE" {
			text = append(text, r.Category, r.RefType, r.Locator)
		}
	}
	return text
}

// exactly compares what an element is related to.
func exactly(what string, got []common.ElementID, want ...common.ElementID) error {
	got, want = slices.Sorted(slices.Values(got)), slices.Compact(slices.Sorted(slices.Values(want)))
	if !slices.Equal(got, want) {
		return fmt.Errorf("it %s %.200q, and should be %.200q: %w", what, got, want, ErrDiffers)
	}
	return nil
}
