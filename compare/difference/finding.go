// Package difference explains why two artefacts differ: it walks down two
// trees of components at the same time, to the smallest parts that are not
// equal, and says for each what it is, where, which package it belongs to, and
// which cause its bytes prove.
package difference

import (
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/component"
	"github.com/mastercard/mangos/compare/content"
)

// Step is one component on the way down. The folders of a file are one step.
type Step struct {
	Kind component.Kind `json:"kind"`
	Name string         `json:"name"`
}

// Owner is the package that a difference belongs to, on both sides.
type Owner struct {
	Package  string `json:"package"`
	Source   string `json:"source"`
	VersionA string `json:"version_a,omitempty"`
	VersionB string `json:"version_b,omitempty"`
}

// Finding is one difference. Its texts come from what was compared: escape
// them before they are printed.
type Finding struct {
	Path  []Step      `json:"path"`
	Class cause.Class `json:"class"`
	// Signed tells that the difference belongs to what an organisation signs,
	// and is none between what they build.
	Signed bool `json:"signed,omitempty"`
	// What differs: an attribute or field, "" for the bytes.
	What string `json:"what,omitempty"`
	A    string `json:"a,omitempty"`
	B    string `json:"b,omitempty"`
	// Only tells the side of a class one-side finding: "a" or "b".
	Only string `json:"only,omitempty"`
	// Ranges are the first differing runs of bytes of the last step's content.
	Ranges []content.Range `json:"ranges,omitempty"`
	// Changed counts the bytes that differ; lines if the content is text.
	Changed int64  `json:"changed,omitempty"`
	Lines   bool   `json:"lines,omitempty"`
	Owner   *Owner `json:"owner,omitempty"`
	// Note says what proves the class, or what could not be done.
	Note string `json:"note,omitempty"`
	// Needs says that only digests are known, and which bytes would tell more.
	Needs string `json:"needs,omitempty"`
}

// Location is the path as one line, unescaped.
func (f *Finding) Location() string {
	parts := make([]string, 0, len(f.Path))
	for _, s := range f.Path {
		parts = append(parts, s.Name)
	}
	return strings.Join(parts, " > ")
}

// File is the path inside of the innermost file system, "" if there is none.
func (f *Finding) File() string {
	for n := len(f.Path) - 1; n >= 0; n-- {
		if inTree(f.Path[n].Kind) {
			return f.Path[n].Name
		}
	}
	return ""
}

// Within is the name of the step of the given kind nearest to the root, "" if
// there is none.
func (f *Finding) Within(kind component.Kind) string {
	for _, s := range f.Path {
		if s.Kind == kind {
			return s.Name
		}
	}
	return ""
}

// inTree tells the kinds that have a place in a tree of folders.
func inTree(k component.Kind) bool {
	switch k {
	case component.Dir, component.File, component.Link, component.Device:
		return true
	}
	return false
}
