package sbom

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/modules/image/initrd"
)

// ErrDiffers says that a document and what it describes do not fit together.
var ErrDiffers = errors.New("bill of materials differs from what it describes")

// listing is what a document says of the files of one component.
type listing struct {
	files map[string]*spdx.File // by name, "./" before it
	seen  map[string]bool
}

// listingOf returns the files of a component. The document must leave out none, and
// none may stand there twice.
func listingOf(doc *spdx.Document, component string) (*listing, error) {
	c := componentOf(doc, component)
	if c == nil || c.PackageVerificationCode == nil {
		return nil, fmt.Errorf("the document has no component %s with files: %w", component, ErrDiffers)
	}
	if left := c.PackageVerificationCode.ExcludedFiles; len(left) > 0 {
		return nil, fmt.Errorf("the document leaves out %.200q: %w", left, ErrDiffers)
	}
	l := &listing{files: map[string]*spdx.File{}, seen: map[string]bool{}}
	for _, f := range doc.Files {
		if ComponentOf(f.FileSPDXIdentifier) != component {
			continue
		}
		if l.files[f.FileName] != nil || f.FileSPDXIdentifier != fileID(component, strings.TrimPrefix(f.FileName, "./")) {
			return nil, fmt.Errorf("%s is listed twice, or under a wrong identifier: %w", f.FileName, ErrDiffers)
		}
		l.files[f.FileName] = f
	}
	return l, nil
}

// componentOf is the document's element of a component; nil if there is none.
func componentOf(doc *spdx.Document, name string) *spdx.Package {
	for _, p := range doc.Packages {
		if p.PackageSPDXIdentifier == componentID(name) {
			return p
		}
	}
	return nil
}

// find is the entry of a file that is there.
func (l *listing) find(name string) (*spdx.File, error) {
	f := l.files[name]
	if f == nil || l.seen[name] {
		return nil, fmt.Errorf("%s is there, and not listed once: %w", name, ErrDiffers)
	}
	l.seen[name] = true
	return f, nil
}

// complete returns how many files there were, if that is all that are listed.
func (l *listing) complete() (int, error) {
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		if !l.seen[name] {
			return 0, fmt.Errorf("%s is listed, and not there: %w", name, ErrDiffers)
		}
	}
	if len(l.seen) == 0 {
		return 0, fmt.Errorf("no file is listed: %w", ErrDiffers)
	}
	return len(l.seen), nil
}

// sameLink holds a symbolic link against its entry.
func sameLink(f *spdx.File, got string) error {
	if target, isLink := Target(f); !isLink || got != target {
		return fmt.Errorf("%s leads to %.200q: %w", f.FileName, got, ErrDiffers)
	}
	return DigestsOf([]byte(got)).same(f)
}

// sameFile holds a regular file, of which content writes all bytes, against its entry.
func sameFile(f *spdx.File, content func(io.Writer) (int64, error)) error {
	d := newDigester()
	if _, err := content(d); err != nil {
		return fmt.Errorf("%s: %w", f.FileName, err)
	}
	return sameDigests(f, d.digests())
}

func sameDigests(f *spdx.File, got Digests) error {
	if _, isLink := Target(f); isLink {
		return fmt.Errorf("%s is a file, and a symbolic link in the list: %w", f.FileName, ErrDiffers)
	}
	return got.same(f)
}

// CheckInitrd holds the files of the component "initrd" against the initrd of a
// kernel image, to which the command line was appended: all of them, and no other.
// It returns how many files that were.
func CheckInitrd(doc *spdx.Document, image []byte, commandLine string) (int, error) {
	l, err := listingOf(doc, "initrd")
	if err != nil {
		return 0, fmt.Errorf("check initrd: %w", err)
	}
	buffer := make([]byte, 256<<10)
	err = initrd.Read(image, commandLine, func(h *cpio.Header, content io.Reader) error {
		kind := h.Mode & cpio.TypeMask
		if kind == cpio.TypeDir {
			return nil
		}
		f, err := l.find("./" + h.Name)
		if err != nil {
			return err
		}
		switch kind {
		case cpio.TypeRegular:
			return sameFile(f, func(w io.Writer) (int64, error) { return io.CopyBuffer(w, content, buffer) })
		case cpio.TypeSymlink:
			target, err := io.ReadAll(io.LimitReader(content, cpio.MaxName))
			if err != nil {
				return fmt.Errorf("%s: %w", f.FileName, err)
			}
			return sameLink(f, string(target))
		}
		return fmt.Errorf("%s is neither a file nor a symbolic link: %w", f.FileName, ErrDiffers)
	})
	if err != nil {
		return 0, fmt.Errorf("check initrd: %w", err)
	}
	n, err := l.complete()
	if err != nil {
		return 0, fmt.Errorf("check initrd: %w", err)
	}
	return n, nil
}

// CheckFiles holds the files of a component against the digests that each of them
// has: all of them, and no other. It returns how many files that were.
func CheckFiles(doc *spdx.Document, component string, digests map[string]Digests) (int, error) {
	l, err := listingOf(doc, component)
	if err != nil {
		return 0, fmt.Errorf("check %s: %w", component, err)
	}
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		f, err := l.find("./" + name)
		if err == nil {
			err = sameDigests(f, digests[name])
		}
		if err != nil {
			return 0, fmt.Errorf("check %s: %w", component, err)
		}
	}
	n, err := l.complete()
	if err != nil {
		return 0, fmt.Errorf("check %s: %w", component, err)
	}
	return n, nil
}

// CheckArtifact holds the file that a component is shipped as against its SHA-256.
func CheckArtifact(doc *spdx.Document, component, digest string) error {
	c := componentOf(doc, component)
	if c == nil || SHA256(c.PackageChecksums) != digest {
		return fmt.Errorf("check %s: its image has SHA-256 %s, and another in the list: %w", component, digest, ErrDiffers)
	}
	return nil
}
