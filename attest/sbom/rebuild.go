package sbom

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/format/erofs"
	"github.com/mastercard/mangos/modules/debian/copyright"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/image/initrd"
)

// Known is what is known of an image without its bill of materials.
type Known struct {
	Name, Version string
	Lock          *lock.Lock
	GoSum         gosum.Sums
	// Sources are the identities of source packages; nil if they were not computed.
	Sources *sourceid.Set
	// Root is the root's file system, and RootImage its file.
	Root      *erofs.Image
	RootImage Artifact
	// Initrd is that of the kernel image, to which CommandLine was appended.
	Initrd      []byte
	CommandLine string
	// Release is what the kernel calls itself.
	Release string
	// Programs are the SHA-256 of our programs by their paths, before which the name of
	// their component stands.
	Programs map[string]string
	// Packages are those that the components beside the root were taken from, by the
	// component's name: all of them are in the initrd, of the others those with a file.
	Packages map[string][]dpkg.Package
}

// Rebuild returns what a document must be made of: all that is known, and, of its files
// and of what nothing else tells (see the package's documentation), what it says itself.
// [CheckRebuilt] makes it.
func Rebuild(doc *spdx.Document, k *Known) (*Input, error) {
	r, err := newRebuilder(doc, k)
	if err != nil {
		return nil, fmt.Errorf("rebuild bill of materials: %w", err)
	}
	in := &Input{Name: k.Name, Version: k.Version, Epoch: k.Lock.SourceDateEpoch, Lock: k.Lock, GoSum: k.GoSum, Sources: k.Sources, said: r.said}
	for _, name := range components {
		if r.said.packages[componentID(name)] == nil {
			continue
		}
		c, err := r.component(name)
		if err != nil {
			return nil, fmt.Errorf("rebuild bill of materials: %s: %w", name, err)
		}
		in.Components = append(in.Components, *c)
	}
	return in, nil
}

// CheckRebuilt holds a document against the one that in makes, to the letter.
func CheckRebuilt(doc *spdx.Document, in *Input) error {
	want, err := Build(*in)
	if err != nil {
		return fmt.Errorf("check against what it is made of: %w: %w", ErrDiffers, err)
	}
	want.DocumentNamespace = doc.DocumentNamespace // of the content, as Parse has checked
	got, err := Encode(doc)
	if err != nil {
		return fmt.Errorf("check against what it is made of: %w", err)
	}
	text, err := Encode(want)
	if err != nil {
		return fmt.Errorf("check against what it is made of: %w", err)
	}
	if err := sameText(got, text); err != nil {
		return fmt.Errorf("check against what it is made of: %w", err)
	}
	return nil
}

// sameText names the first element, a line, in which two documents differ.
func sameText(got, want []byte) error {
	for n := 1; len(got) > 0 || len(want) > 0; n++ {
		var g, w []byte
		g, got, _ = bytes.Cut(got, []byte("\n"))
		w, want, _ = bytes.Cut(want, []byte("\n"))
		// A comma tells that another element follows.
		g, w = bytes.TrimSuffix(g, []byte(",")), bytes.TrimSuffix(w, []byte(","))
		if bytes.Equal(g, w) {
			continue
		}
		i := 0
		for i < min(len(g), len(w)) && g[i] == w[i] {
			i++
		}
		return fmt.Errorf("line %d, element %.120q: it says %.120q, and should say %.120q: %w", n, elementOf(g), g[max(0, i-40):], w[max(0, i-40):], ErrDiffers)
	}
	return nil
}

// elementOf is the identifier of the element that a line is, or what it begins with.
func elementOf(line []byte) []byte {
	if _, after, ok := bytes.Cut(line, []byte(`"SPDXID":"SPDXRef-`)); ok {
		id, _, _ := bytes.Cut(after, []byte(`"`))
		return id
	}
	return line
}

// rebuilder knows what is known and what a document says.
type rebuilder struct {
	*Known
	said     *said
	listed   map[string][]*spdx.File // by component
	parents  map[common.ElementID]common.ElementID
	source   common.ElementID // of the kernel
	database *dpkg.Database   // of the root
	root     *imageFiles
	initrd   *initrdFiles
	texts    map[string][]byte // copyright files, by package
}

func newRebuilder(doc *spdx.Document, k *Known) (*rebuilder, error) {
	r := &rebuilder{
		Known: k, said: saidBy(doc), listed: map[string][]*spdx.File{}, parents: map[common.ElementID]common.ElementID{},
		root: newImageFiles(k.Root), texts: map[string][]byte{},
	}
	for _, f := range doc.Files {
		component := ComponentOf(f.FileSPDXIdentifier)
		r.listed[component] = append(r.listed[component], f)
	}
	for _, x := range doc.Relationships {
		switch {
		case x.Relationship == common.TypeRelationshipContains:
			r.parents[x.RefB.ElementRefID] = x.RefA.ElementRefID
		case x.Relationship == common.TypeRelationshipGeneratedFrom && x.RefA.ElementRefID == componentID("kernel"):
			r.source = x.RefB.ElementRefID
		}
	}
	var err error
	if r.database, err = dpkg.Read(r.root); err != nil {
		return nil, err
	}
	r.initrd, err = readInitrd(k)
	return r, err
}

// component makes a component of what is known of it.
func (r *rebuilder) component(name string) (*Component, error) {
	c := Part(name)
	c.Packages, c.Copyright = r.Packages[name], r.texts
	var err error
	switch name {
	case "root":
		c.Packages, c.Artifact = r.database.Packages(), &r.RootImage
		err = c.readCopyright(r.root.Readlink, optional(r.root.ReadFile))
	case "initrd":
		err = c.readCopyright(r.initrd.Readlink, optional(r.initrd.ReadFile))
	case "kernel":
		for _, key := range r.Lock.Build {
			if n, version, _ := strings.Cut(key, "="); sourceID(n, version) == r.source {
				c = Kernel(key, r.Release)
			}
		}
		if c.Source == "" {
			err = fmt.Errorf("it is of the source %s, which is not built: %w", r.source, ErrDiffers)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, f := range r.listed[name] {
		x, err := r.file(name, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.FileName, err)
		}
		c.Files = append(c.Files, *x)
	}
	for path := range r.Programs {
		if rest, ours := strings.CutPrefix(path, name+"/"); ours && !slices.ContainsFunc(c.Files, func(f File) bool { return f.Path == rest }) {
			return nil, fmt.Errorf("the program /%s is not listed: %w", rest, ErrDiffers)
		}
	}
	slices.SortFunc(c.Files, func(x, y File) int { return strings.Compare(x.Path, y.Path) })
	if name != "root" && name != "initrd" {
		c.onlyOwners()
	}
	return &c, nil
}

// optional reads a copyright file that may not be there.
func optional(read func(string, int64) ([]byte, error)) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		text, err := read(name, copyright.MaxSize)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, dpkg.ErrLimit) {
			return nil, nil
		}
		return text, err
	}
}

// file is a file as it is listed, in the program or package that it is of.
func (r *rebuilder) file(component string, f *spdx.File) (*File, error) {
	x := &File{Path: strings.TrimPrefix(f.FileName, "./"), Origin: Origin(f)}
	x.Digests = Digests{checksum(f.Checksums, common.SHA1), checksum(f.Checksums, common.SHA256)}
	x.Target, x.Link = Target(f)
	if made, ok := r.Programs[component+"/"+x.Path]; ok {
		if x.SHA256 != made {
			return nil, fmt.Errorf("it has SHA-256 %s, the program that was put there %s: %w", x.SHA256, made, ErrDiffers)
		}
		var err error
		x.Program, err = r.program(component, x.Path)
		return x, err
	}
	if component == "root" {
		owner, _ := r.database.Owner("/" + x.Path)
		x.Package = owner.Name
	} else if p := r.said.packages[r.parents[f.FileSPDXIdentifier]]; p != nil && p.PackageSPDXIdentifier == packageID(component, p.PackageName) {
		x.Package = p.PackageName
	}
	return x, nil
}

// program reads what a program of ours says of its build.
func (r *rebuilder) program(component, name string) (*buildinfo.BuildInfo, error) {
	var content io.ReaderAt
	switch component {
	case "root":
		inode, err := r.root.inode(name)
		if err != nil {
			return nil, err
		}
		if inode != nil && inode.IsRegular() {
			content = io.NewSectionReader(inode.Open(), 0, inode.Size)
		}
	case "initrd":
		if text, ok := r.initrd.files[name]; ok {
			content = bytes.NewReader(text)
		}
	}
	if content == nil {
		return nil, fmt.Errorf("it is a program, and not there: %w", ErrDiffers)
	}
	info, err := buildinfo.Read(content)
	if err != nil {
		return nil, fmt.Errorf("it is no Go program: %w: %w", ErrDiffers, err)
	}
	return info, nil
}

// initrdFiles are those files of an initrd that tell something: programs of ours and
// copyright files.
type initrdFiles struct {
	files map[string][]byte
	links map[string]string
}

// maxKept bounds the bytes of the files of an initrd that are kept.
const maxKept = 512 << 20

func readInitrd(k *Known) (*initrdFiles, error) {
	x := &initrdFiles{files: map[string][]byte{}, links: map[string]string{}}
	left := int64(maxKept)
	err := initrd.Read(k.Initrd, k.CommandLine, func(h *cpio.Header, content io.Reader) error {
		about := strings.HasPrefix(h.Name, "usr/share/doc/")
		_, ours := k.Programs["initrd/"+h.Name]
		switch {
		case h.Mode&cpio.TypeMask == cpio.TypeRegular && (ours || about && path.Base(h.Name) == "copyright"):
			if left -= h.Size; left < 0 {
				return fmt.Errorf("%s: programs and copyright files have more than %d bytes: %w", h.Name, int64(maxKept), ErrDiffers)
			}
			text, err := io.ReadAll(io.LimitReader(content, h.Size))
			x.files[h.Name] = text
			return err
		case h.Mode&cpio.TypeMask == cpio.TypeSymlink && about:
			target, err := io.ReadAll(io.LimitReader(content, cpio.MaxName))
			x.links[h.Name] = string(target)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// ReadFile returns a file that was kept.
func (x *initrdFiles) ReadFile(name string, limit int64) ([]byte, error) {
	text, ok := x.files[name]
	if !ok || int64(len(text)) > limit {
		return nil, fs.ErrNotExist
	}
	return text, nil
}

// Readlink returns the target of a link that was kept, "" if there is none.
func (x *initrdFiles) Readlink(name string) (string, error) { return x.links[name], nil }
