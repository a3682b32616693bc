package sbom

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sourceid"
)

// said is what a document says that nothing beside it tells: how well sources are
// identified, and the licences of packages whose copyright files are not at hand. A
// document that is made anew repeats it.
type said struct {
	packages map[common.ElementID]*spdx.Package
	texts    map[string]*spdx.OtherLicense
	// unidentified tells that the identities of the sources were not computed.
	unidentified bool
}

// proofNote stands before the proof of a source's commit.
const proofNote = "proven by: "

// notIdentified ends the comment of a document without identities of sources.
const notIdentified = " The identities of the sources were not computed."

func saidBy(doc *spdx.Document) *said {
	s := &said{
		packages: map[common.ElementID]*spdx.Package{}, texts: map[string]*spdx.OtherLicense{},
		unidentified: strings.HasSuffix(doc.DocumentComment, notIdentified),
	}
	for _, p := range doc.Packages {
		s.packages[p.PackageSPDXIdentifier] = p
	}
	for _, t := range doc.OtherLicenses {
		s.texts[t.LicenseIdentifier] = t
	}
	return s
}

// swhid is an identifier of Software Heritage for a tree or a commit.
var swhid = regexp.MustCompile(`^swh:1:(dir|rev):[0-9a-f]{40}$`)

// identify repeats the identity of a source, if its level is the one of what is named,
// and counts it.
func (s *said) identify(p *spdx.Package, counts *sourceid.Counts) {
	was := s.packages[p.PackageSPDXIdentifier]
	if was == nil {
		return
	}
	id := sourceid.Identity{Level: sourceid.LevelVersion}
	for _, r := range was.PackageExternalReferences {
		kind := swhid.FindStringSubmatch(r.Locator)
		if r.RefType != common.TypePersistentIdSwh || r.Category != common.CategoryPersistentId || kind == nil {
			continue
		}
		p.PackageExternalReferences = append(p.PackageExternalReferences, r)
		switch {
		case kind[1] == "rev":
			id.Level = sourceid.LevelCommit
		case id.Level == sourceid.LevelVersion:
			id.Level = sourceid.LevelTree
		}
		if strings.HasPrefix(r.ExternalRefComment, proofNote) {
			id.Commit = r.Locator
		}
	}
	counts.Add(&id)
	p.PackageSourceInfo = identityNote + string(id.Level)
	if _, rest, ok := strings.Cut(was.PackageSourceInfo, "\n"); ok {
		p.PackageSourceInfo += "\n" + rest
	}
}

// identifyProgram repeats the identity of a program's source.
func (s *said) identifyProgram(p *spdx.Package) {
	was := s.packages[p.PackageSPDXIdentifier]
	if was == nil {
		return
	}
	for _, r := range was.PackageExternalReferences {
		count, ok := strings.CutPrefix(r.ExternalRefComment, ProgramTree)
		files, err := strconv.Atoi(count)
		if kind := swhid.FindStringSubmatch(r.Locator); ok && err == nil && kind != nil && kind[1] == "dir" {
			identifyProgram(p, r.Locator, files)
			return
		}
	}
}

// licence repeats the licence of a package, and returns those in it that have a text.
func (s *said) licence(p *spdx.Package) (texts []string) {
	was := s.packages[p.PackageSPDXIdentifier]
	if was == nil {
		return nil
	}
	p.PackageLicenseDeclared, p.PackageLicenseComments = was.PackageLicenseDeclared, was.PackageLicenseComments
	for _, word := range strings.FieldsFunc(was.PackageLicenseDeclared, func(r rune) bool { return strings.ContainsRune(" ()", r) }) {
		if s.texts[word] != nil {
			texts = append(texts, word)
		}
	}
	return texts
}

// repeatTexts adds the texts of the licences that were repeated, but for those that
// copyright files have.
func (b *builder) repeatTexts() {
	for _, id := range b.repeated {
		if !b.texts[id] {
			b.texts[id] = true
			b.doc.OtherLicenses = append(b.doc.OtherLicenses, b.in.said.texts[id])
		}
	}
}
