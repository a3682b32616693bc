package sbom

import (
	"debug/buildinfo"
	"errors"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/modules/debian/lock"
)

var (
	// ErrUnlocked says that a package is not the one of the lock.
	ErrUnlocked = errors.New("package is not in the lock")
	// ErrFile says that a file has no place in a bill of materials.
	ErrFile = errors.New("file cannot be listed")
	// ErrModule says that a program holds a Go module that go.sum does not have.
	ErrModule = errors.New("module is not in go.sum")
)

// Input is what a document is made of.
type Input struct {
	// Name and Version are those of the image.
	Name, Version string
	// Epoch is the document's date, in seconds since 1970.
	Epoch      int64
	Lock       *lock.Lock
	Components []Component
	// Sources are the identities of source packages; nil if they were not
	// computed.
	Sources *sourceid.Set
	// GoSum has the sum that each module must have; nil: do not check.
	GoSum gosum.Sums

	said *said // by the document that is made anew
}

// Component is a part of the image.
type Component struct {
	// Name is a word: root, initrd, kernel, boot or microcode.
	Name string
	// Title and Comment are for people. Purpose is SPDX's primaryPackagePurpose,
	// which may be empty. An operating system has none: the JSON schemas of SPDX 2.3
	// and 2.3.1 spell it differently, and a document with it breaks one of them.
	Title, Comment, Purpose string
	// Version is the image's where it is empty.
	Version string
	// CPE names it to those who look for vulnerabilities; it may be empty.
	CPE string
	// Licence is what it declares, as an expression, and LicenceComment where; both
	// may be empty.
	Licence, LicenceComment string
	// Source is the locked source package that it was built from, "name=version".
	Source string
	// Files are sorted by path.
	Files []File
	// Packages are the installed packages.
	Packages []dpkg.Package
	// Copyright holds the copyright files of packages.
	Copyright map[string][]byte
	// Outline tells that the files are not to be listed, only what they are of:
	// the document is older than they are, or must not depend on them.
	Outline bool
	// LeftOut is the path of a file that is in the component and not in Files.
	LeftOut string
	// Artifact is the file that the component is shipped as, if it is known.
	Artifact *Artifact
}

// Artifact is a file of the release.
type Artifact struct{ Name, SHA256 string }

// File is a regular file or a symbolic link of a component.
type File struct {
	// Path is relative to the component's root.
	Path string
	// Digests are of the content, or of a link's target.
	Digests
	// Link tells that it is a symbolic link, to Target.
	Link   bool
	Target string
	// Package is the name of the package that owns it, empty if none does.
	Package string
	// Origin says where it is from, if it is not as a package brought it.
	Origin string
	// Program is what a Go program says of its build, Source what it was compiled from;
	// nil if that was not at hand.
	Program *buildinfo.BuildInfo
	Source  *sourceid.Program
}
