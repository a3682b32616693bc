package component

import (
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/elf"
)

// openELF lists headers and sections.
func openELF(c content.Content) (*Expansion, error) {
	f, err := elf.Open(c, c.Size())
	if err != nil {
		return nil, err
	}
	e := &Expansion{Format: "elf"}
	used := []content.Range{elfRange(f.Header), elfRange(f.Programs), elfRange(f.Headers)}
	for _, s := range f.Sections {
		if s.Type == elf.TypeNull || s.Type == elf.TypeNoBits || s.Size == 0 {
			continue
		}
		n := part(Section, s.Name, c, s.Offset, s.Size)
		n.Class = elfClass(s.Name)
		e.Children = append(e.Children, n)
		used = append(used, elfRange(s.Part))
	}
	uniqueNames(e.Children)
	if len(f.Sections) == 0 {
		return nil, nil
	}
	for _, p := range []struct {
		name string
		elf.Part
	}{{"ELF header", f.Header}, {"program headers", f.Programs}, {"section headers", f.Headers}} {
		n := part(Structure, p.name, c, p.Offset, p.Size)
		n.Class = cause.Derived
		e.Children = append(e.Children, n)
	}
	e.Children = append(e.Children, gaps(c, used)...)
	return e, nil
}

func elfRange(p elf.Part) content.Range { return content.Range{Offset: p.Offset, Length: p.Size} }

// elfClass: what a linker makes from the other sections.
func elfClass(name string) cause.Class {
	switch {
	case name == ".note.gnu.build-id" || name == ".note.go.buildid":
		return cause.BuildID
	case name == ".gnu_debuglink" || name == ".shstrtab":
		return cause.Derived
	}
	return ""
}

// SectionTexts reports whether a section holds text: its strings are compared,
// not its bytes.
func SectionTexts(name string) bool {
	for _, prefix := range []string{".comment", ".rodata.str", ".dynstr", ".strtab", ".debug_str", ".go.buildinfo", ".modinfo"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
