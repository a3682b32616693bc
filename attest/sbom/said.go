package sbom

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// said is what a document says that nothing beside it tells: the trees of programs, and
// the licences of packages whose copyright files are not at hand. A document that is made
// anew repeats it.
type said struct {
	packages map[common.ElementID]*spdx.Package
	texts    map[string]*spdx.OtherLicense
}

func saidBy(doc *spdx.Document) *said {
	s := &said{packages: map[common.ElementID]*spdx.Package{}, texts: map[string]*spdx.OtherLicense{}}
	for _, p := range doc.Packages {
		s.packages[p.PackageSPDXIdentifier] = p
	}
	for _, t := range doc.OtherLicenses {
		s.texts[t.LicenseIdentifier] = t
	}
	return s
}

// swhid is an identifier of Software Heritage for a tree.
var swhid = regexp.MustCompile(`^swh:1:dir:[0-9a-f]{40}$`)

// identifyProgram repeats the identity of a program's source.
func (s *said) identifyProgram(p *spdx.Package) {
	was := s.packages[p.PackageSPDXIdentifier]
	if was == nil {
		return
	}
	for _, r := range was.PackageExternalReferences {
		count, ok := strings.CutPrefix(r.ExternalRefComment, ProgramTree)
		files, err := strconv.Atoi(count)
		if ok && err == nil && swhid.MatchString(r.Locator) {
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
