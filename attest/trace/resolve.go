package trace

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/attest/tree"
	manifest "github.com/mastercard/mangos/runtime/release"
)

// components are the parts of an image in which paths are looked for, in this
// order.
var components = []string{"root", "initrd", "kernel", "boot", "microcode"}

// maxLinks bounds the symbolic links on the way, as in Linux.
const maxLinks = 40

// Trace answers a question, which is the absolute path of a file, with
// "COMPONENT:" before it if not in all components; the name of a component; the
// name of a file of the release, or of a product of a step; or a SHA-256. [ErrUnknown] if
// there is no such thing, [ErrDiffers] if a file of the release is not what SHA256SUMS says of it.
func (r *Release) Trace(asked string) (*Result, error) {
	document := r.document
	result := &Result{Asked: asked, Built: []Built{}, Document: &document}
	var err error
	component, name, qualified := strings.Cut(asked, ":")
	switch {
	case isDigest(asked):
		err = r.digest(result, asked)
	case qualified && slices.Contains(components, component):
		err = r.path(result, []string{component}, name)
	case strings.HasPrefix(asked, "/"):
		err = r.path(result, components, asked)
	case slices.Contains(components, asked):
		err = r.component(result, asked)
	case r.sums[asked] != "":
		err = r.released(result, asked)
	case asked == manifest.SumsFile, asked == manifest.SignatureFile:
		err = r.list(result, asked)
	default:
		err = r.named(result, asked)
	}
	if errors.Is(err, ErrUnknown) {
		err = r.unlisted(asked, err)
	}
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", asked, err)
	}
	r.distribution(result)
	return result, r.built(result)
}

// path looks for a file by its path in the components, of which the first that
// has it answers.
func (r *Release) path(result *Result, in []string, name string) error {
	var found *spdx.File
	folders := map[string]place{}
	for _, component := range in {
		p, err := r.resolve(component, name)
		if err != nil {
			return err
		}
		f := p.file
		switch {
		case f == nil:
			folders[component] = p
		case found == nil:
			found, result.Links = f, p.links
		default:
			elsewhere := component + ":" + strings.TrimPrefix(f.FileName, ".")
			if sbom.SHA256(f.Checksums) == sbom.SHA256(found.Checksums) {
				elsewhere += " (the same bytes)"
			} else {
				elsewhere += " (other bytes)"
			}
			result.Elsewhere = append(result.Elsewhere, elsewhere)
		}
	}
	if found == nil {
		return r.folder(result, folders, name)
	}
	if extension := r.extension(); extension != "" && strings.HasPrefix(found.FileName, "./etc/") && sbom.ComponentOf(found.FileSPDXIdentifier) == "root" {
		result.Elsewhere = append(result.Elsewhere, extension+" may have another, which lies over it")
	}
	return r.file(result, found)
}

// at is the file or link at a path of a component; nil if there is none.
func (r *Release) at(component, name string) (*spdx.File, error) {
	list, known := r.files[name]
	if !known {
		var err error
		if list, err = r.index.FilesAt(strings.TrimPrefix(name, "/")); err != nil {
			return nil, err
		}
		r.files[name] = list
	}
	var found *spdx.File
	for _, f := range list {
		if sbom.ComponentOf(f.FileSPDXIdentifier) != component {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s stands twice in the component %s: %w", name, component, sbom.ErrDocument)
		}
		found = f
	}
	return found, nil
}

// place is where a path leads to over links: to a file, or else, if to anything, to a folder.
type place struct {
	file   *spdx.File
	folder string
	links  []Link
}

// resolve follows a path over the symbolic links of a component.
func (r *Release) resolve(component, name string) (place, error) {
	rest := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	at := "/"
	var links []Link
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		f, err := r.at(component, next)
		if err != nil {
			return place{}, err
		}
		if f == nil {
			at = next // a folder, or nothing
			continue
		}
		target, isLink := sbom.Target(f)
		if !isLink {
			if len(rest) > 0 {
				return place{}, nil
			}
			return place{file: f, links: links}, nil
		}
		if len(links) == maxLinks {
			return place{}, nil
		}
		link := Link{Path: next, Target: target, Origin: sbom.Origin(f)}
		if link.Owner, err = r.owner(f); err != nil {
			return place{}, err
		}
		links = append(links, link)
		if !path.IsAbs(target) {
			target = path.Join(at, target)
		}
		rest = append(strings.Split(strings.Trim(path.Clean(target), "/"), "/"), rest...)
		at = "/"
	}
	// A link that leads nowhere in this component is still a thing to explain.
	if n := len(links); n > 0 {
		last := links[n-1]
		f, err := r.at(component, last.Path)
		if err != nil {
			return place{}, err
		}
		if path.Clean("/"+name) == last.Path || n > 1 {
			return place{file: f, links: links[:n-1]}, nil
		}
	}
	return place{folder: at, links: links}, nil
}

// owner is the name of the package that contains a file; empty if none does.
func (r *Release) owner(f *spdx.File) (string, error) {
	p, err := r.container(f)
	if err != nil || p == nil || !isPackage(p.PackageSPDXIdentifier) {
		return "", err
	}
	return p.PackageName, nil
}

// container is the element that contains a file.
func (r *Release) container(f *spdx.File) (*spdx.Package, error) {
	ids, err := r.index.To(f.FileSPDXIdentifier, common.TypeRelationshipContains)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if len(ids) > 1 {
		return nil, fmt.Errorf("%s is contained by %d elements: %w", f.FileName, len(ids), sbom.ErrDocument)
	}
	return r.index.Package(ids[0])
}

func isPackage(id common.ElementID) bool { return strings.Contains(string(id), "-deb-") }
func isProgram(id common.ElementID) bool { return strings.Contains(string(id), "-program-") }

// digest looks for files, and then for anything else, with a digest.
func (r *Release) digest(result *Result, digest string) error {
	files, err := r.index.FilesOf(digest)
	if err != nil {
		return err
	}
	if len(files) > 0 {
		for _, f := range files[1:] {
			result.Elsewhere = append(result.Elsewhere, sbom.ComponentOf(f.FileSPDXIdentifier)+":"+strings.TrimPrefix(f.FileName, ".")+" (the same bytes)")
		}
		return r.file(result, files[0])
	}
	packages, err := r.index.PackagesOf(digest)
	if err != nil {
		return err
	}
	if len(packages) > 0 {
		return r.element(result, packages[0], digest)
	}
	for _, name := range slices.Sorted(maps.Keys(r.sums)) {
		if r.sums[name] == digest {
			result.Path = name
			return r.released(result, name)
		}
	}
	return r.product(result, digest)
}

// released takes what is known of a file of the release, which must have the digest that
// SHA256SUMS says: it is read for that.
func (r *Release) released(result *Result, name string) error {
	sum, _, err := tree.HashFile(filepath.Join(r.dir, name), false)
	if err != nil {
		return err
	}
	if sum != r.sums[name] {
		return fmt.Errorf("it has SHA-256 %s, and %s in SHA256SUMS: %w", sum, r.sums[name], ErrDiffers)
	}
	result.SHA256, result.Title = sum, "file of the release"
	result.Released = &Document{Name: name, SHA256: sum, Listed: true, Checked: r.document.Checked}
	return nil
}
