package sbom

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/utils"

	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/modules/debian/lock"
)

const (
	noAssertion = "NOASSERTION"
	documentID  = "DOCUMENT"
	namespace   = "https://github.com/mastercard/mangos/spdx/"
)

// builder is a document in the making.
type builder struct {
	in       Input
	doc      spdx.Document
	packages map[string]*lock.Package
	sources  map[string]*lock.Source
	archives map[string]lock.Archive // by suite
	// made are the shared elements that are in the document already.
	made  map[common.ElementID]bool
	texts map[string]bool
	// repeated are the licences with a text that another document says.
	repeated []string
	// counts is how well sources are identified.
	counts sourceid.Counts
}

func newBuilder(in Input) *builder {
	b := &builder{
		in: in, packages: map[string]*lock.Package{}, sources: map[string]*lock.Source{}, archives: map[string]lock.Archive{},
		made: map[common.ElementID]bool{}, texts: map[string]bool{},
	}
	b.indexLock()
	return b
}

// Build makes the document. The same input gives the same document.
func Build(in Input) (*spdx.Document, error) {
	b := newBuilder(in)
	b.doc = spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: documentID,
		DocumentName: in.Name + "_" + in.Version,
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "mangos-attest"}},
			Created:  time.Unix(in.Epoch, 0).UTC().Format(time.RFC3339),
		},
	}
	for i := range in.Components {
		if err := b.component(&in.Components[i]); err != nil {
			return nil, fmt.Errorf("bill of materials: %s: %w", in.Components[i].Name, err)
		}
	}
	b.repeatTexts()
	b.doc.DocumentComment = b.comment()
	b.sort()
	digest, err := contentDigest(&b.doc)
	if err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	b.doc.DocumentNamespace = namespaceOf(&b.doc, digest)
	return &b.doc, nil
}

func (b *builder) indexLock() {
	l := b.in.Lock
	for i := range l.Packages {
		b.packages[l.Packages[i].Name] = &l.Packages[i]
	}
	for i := range l.Sources {
		b.sources[l.Sources[i].Name+"="+l.Sources[i].Version] = &l.Sources[i]
	}
	for _, s := range l.Suites {
		for _, a := range l.Archives {
			if a.Name == s.Archive {
				b.archives[s.Name] = a
			}
		}
	}
}

// comment says what a reader has to know, and sums up the sources.
func (b *builder) comment() string {
	text := "Every regular file and symbolic link is listed of the components whose files are. " +
		"The checksum of a symbolic link is that of its target's name. " +
		"Licences are what the packages declare; nobody has concluded anything."
	for _, c := range b.in.Components {
		if c.LeftOut != "" {
			text += " This document leaves out itself: it stands in the " + c.Title + " as /" + c.LeftOut + "."
		}
	}
	if b.in.Sources == nil {
		return text + " The identities of the sources were not computed."
	}
	return text + fmt.Sprintf(" Sources: %v.", b.counts)
}

// component adds a component with all that is in it.
func (b *builder) component(c *Component) error {
	id := componentID(c.Name)
	p := &spdx.Package{
		PackageName: b.in.Name + " " + c.Title, PackageSPDXIdentifier: id, PackageVersion: c.Version,
		PackageSupplier: unknown(), PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion,
		PackageLicenseDeclared: c.Licence, PackageLicenseComments: c.LicenceComment,
		PackageCopyrightText: noAssertion, PackageComment: c.Comment, PrimaryPackagePurpose: c.Purpose,
	}
	if p.PackageLicenseDeclared == "" {
		p.PackageLicenseDeclared = noAssertion
	}
	if p.PackageVersion == "" {
		p.PackageVersion = b.in.Version
	}
	if a := c.Artifact; a != nil {
		p.PackageFileName = a.Name
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: a.SHA256}}
	}
	if c.CPE != "" {
		p.PackageExternalReferences = []*spdx.PackageExternalReference{{
			Category: common.CategorySecurity, RefType: common.TypeSecurityCPE23Type, Locator: c.CPE,
		}}
	}
	b.doc.Packages = append(b.doc.Packages, p)
	b.relate(documentID, common.TypeRelationshipDescribe, id)

	groups, err := b.files(c, p)
	if err != nil {
		return err
	}
	if err := b.debs(c, groups); err != nil {
		return err
	}
	if err := b.programs(c, groups); err != nil {
		return err
	}
	if c.Source == "" {
		return nil
	}
	source, err := b.source(c.Source)
	b.relate(id, common.TypeRelationshipGeneratedFrom, source)
	return err
}

// unknown is the supplier of what no distribution has supplied.
func unknown() *common.Supplier { return &common.Supplier{Supplier: noAssertion} }

// files adds the files of a component, whose package is p, and returns those of
// each element.
func (b *builder) files(c *Component, p *spdx.Package) (map[common.ElementID][]*spdx.File, error) {
	if c.Outline {
		return nil, nil
	}
	files := make([]*spdx.File, len(c.Files))
	groups := map[common.ElementID][]*spdx.File{}
	for i := range c.Files {
		f, err := newFile(c.Name, &c.Files[i])
		if err != nil {
			return nil, err
		}
		files[i] = f
		parent := b.parent(c, &c.Files[i])
		groups[parent] = append(groups[parent], f)
		b.relate(parent, common.TypeRelationshipContains, f.FileSPDXIdentifier)
	}
	b.doc.Files = append(b.doc.Files, files...)
	return groups, analysed(p, files, c.LeftOut)
}

// parent is the element that contains a file.
func (b *builder) parent(c *Component, f *File) common.ElementID {
	switch {
	case f.Program != nil:
		return programID(c.Name, f.Path)
	case f.Package != "":
		return packageID(c.Name, f.Package)
	}
	return componentID(c.Name)
}

func newFile(component string, f *File) (*spdx.File, error) {
	if f.Path == "" || !printable(f.Path) || !printable(f.Target) || len(f.SHA256) != 64 || len(f.SHA1) != 40 {
		return nil, fmt.Errorf("%q: %w", f.Path, ErrFile)
	}
	x := &spdx.File{
		FileName: "./" + f.Path, FileSPDXIdentifier: fileID(component, f.Path), FileCopyrightText: noAssertion,
		Checksums: []common.Checksum{{Algorithm: common.SHA1, Value: f.SHA1}, {Algorithm: common.SHA256, Value: f.SHA256}},
	}
	var notes []string
	if f.Link {
		notes = append(notes, linkNote+f.Target)
	}
	if f.Origin != "" {
		notes = append(notes, f.Origin)
	} else if f.Package == "" && f.Program == nil {
		return nil, fmt.Errorf("%q: of no package, and of no known origin: %w", f.Path, ErrFile)
	}
	x.FileComment = strings.Join(notes, "\n")
	return x, nil
}

// linkNote begins the comment of a symbolic link.
const linkNote = "symbolic link to "

// analysed says that a package's files are known: the verification code of SPDX
// (section 7.9) is over them.
func analysed(p *spdx.Package, files []*spdx.File, leftOut string) error {
	if len(files) == 0 {
		return nil
	}
	if leftOut != "" {
		leftOut = "./" + leftOut
	}
	code, err := utils.GetVerificationCode(files, leftOut)
	if err != nil {
		return err
	}
	p.FilesAnalyzed, p.PackageVerificationCode = true, &code
	return nil
}

// relate adds a relationship.
func (b *builder) relate(from common.ElementID, kind string, to common.ElementID) {
	b.doc.Relationships = append(b.doc.Relationships, &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: from}, Relationship: kind, RefB: common.DocElementID{ElementRefID: to},
	})
}

// add adds a package, unless it is there.
func (b *builder) add(p *spdx.Package) (added bool) {
	if b.made[p.PackageSPDXIdentifier] {
		return false
	}
	b.made[p.PackageSPDXIdentifier] = true
	b.doc.Packages = append(b.doc.Packages, p)
	return true
}

// sort puts everything into its order: packages and relationships by their
// identifiers, files by component and path as they came.
func (b *builder) sort() {
	slices.SortFunc(b.doc.Packages, func(x, y *spdx.Package) int {
		return strings.Compare(string(x.PackageSPDXIdentifier), string(y.PackageSPDXIdentifier))
	})
	slices.SortFunc(b.doc.OtherLicenses, func(x, y *spdx.OtherLicense) int {
		return strings.Compare(x.LicenseIdentifier, y.LicenseIdentifier)
	})
	key := func(r *spdx.Relationship) string {
		return string(r.RefA.ElementRefID) + " " + r.Relationship + " " + string(r.RefB.ElementRefID)
	}
	slices.SortFunc(b.doc.Relationships, func(x, y *spdx.Relationship) int { return strings.Compare(key(x), key(y)) })
}
