package sbom

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/format/erofs"
)

// CheckOwners holds the packages of a component against dpkg's database in its image:
// they are those that are installed, no other, and each file is in the package that
// owns it, or in none. A file in a program of ours is not looked at. It returns how
// many packages are installed.
func CheckOwners(doc *spdx.Document, component string, img *erofs.Image) (int, error) {
	database, err := dpkg.Read(newImageFiles(img))
	if err != nil {
		return 0, fmt.Errorf("check owners: %w", err)
	}
	var installed, listed []string
	for _, p := range database.Packages() {
		installed = append(installed, p.Name+" "+p.Version)
	}
	for _, p := range doc.Packages {
		if strings.HasPrefix(string(p.PackageSPDXIdentifier), component+"-deb-") {
			listed = append(listed, p.PackageName+" "+p.PackageVersion)
		}
	}
	slices.Sort(installed)
	slices.Sort(listed)
	for i := range max(len(installed), len(listed)) {
		if at(installed, i) != at(listed, i) {
			return 0, fmt.Errorf("check owners: %q is installed where %q is listed: %w", at(installed, i), at(listed, i), ErrDiffers)
		}
	}
	parents := map[common.ElementID]common.ElementID{}
	for _, r := range doc.Relationships {
		if r.Relationship == common.TypeRelationshipContains {
			parents[r.RefB.ElementRefID] = r.RefA.ElementRefID
		}
	}
	for _, f := range doc.Files {
		if ComponentOf(f.FileSPDXIdentifier) != component {
			continue
		}
		name := strings.TrimPrefix(f.FileName, "./")
		want := componentID(component)
		if owner, owned := database.Owner("/" + name); owned {
			want = packageID(component, owner.Name)
		}
		if got := parents[f.FileSPDXIdentifier]; got != want && got != programID(component, name) {
			return 0, fmt.Errorf("check owners: /%s is in %s, and should be in %s: %w", name, got, want, ErrDiffers)
		}
	}
	return len(installed), nil
}

// at is an element of a list, empty behind its end.
func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// imageFiles lets dpkg's database be read from an image.
type imageFiles struct {
	img *erofs.Image
	// folders are the entries of those that were read.
	folders map[string]map[string]uint64
}

func newImageFiles(img *erofs.Image) *imageFiles {
	return &imageFiles{img: img, folders: map[string]map[string]uint64{}}
}

// folder returns the entries of a folder, none where there is no such folder.
func (f *imageFiles) folder(name string) (map[string]uint64, error) {
	if entries, ok := f.folders[name]; ok {
		return entries, nil
	}
	var inode *erofs.Inode
	var err error
	if name == "." {
		inode, err = f.img.Root()
	} else {
		inode, err = f.inode(name)
	}
	if err != nil {
		return nil, err
	}
	entries := map[string]uint64{}
	if inode != nil && inode.IsDir() {
		list, err := inode.ReadDir()
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			entries[e.Name] = e.NID
		}
	}
	f.folders[name] = entries
	return entries, nil
}

// inode returns what has a name, nil where nothing has.
func (f *imageFiles) inode(name string) (*erofs.Inode, error) {
	entries, err := f.folder(path.Dir(name))
	if err != nil {
		return nil, err
	}
	nid, ok := entries[path.Base(name)]
	if !ok {
		return nil, nil
	}
	return f.img.Inode(nid)
}

// ReadFile implements [dpkg.Files].
func (f *imageFiles) ReadFile(name string, limit int64) ([]byte, error) {
	inode, err := f.inode(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if inode == nil || !inode.IsRegular() {
		return nil, fs.ErrNotExist
	}
	if inode.Size > limit {
		return nil, fmt.Errorf("%s: %w", name, dpkg.ErrLimit)
	}
	text := make([]byte, inode.Size)
	if _, err := io.ReadFull(io.NewSectionReader(inode.Open(), 0, inode.Size), text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// List implements [dpkg.Files].
func (f *imageFiles) List(name string) ([]string, error) {
	entries, err := f.folder(name)
	names := make([]string, 0, len(entries))
	for n := range entries {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, err
}

// Readlink implements [dpkg.Files].
func (f *imageFiles) Readlink(name string) (string, error) {
	inode, err := f.inode(name)
	if err != nil || inode == nil || !inode.IsSymlink() {
		return "", err
	}
	return inode.Readlink()
}
