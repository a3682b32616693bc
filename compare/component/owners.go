package component

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/dpkg"
	"github.com/mastercard/mangos/format/erofs"
)

// Owners tells which package owns a path, by dpkg's database.
type Owners = dpkg.Database

// erofsFiles lets the owners of files be read from the image.
type erofsFiles struct {
	img  *erofs.Image
	root *erofs.Inode
}

// lookup returns the inode of a name; the error is fs.ErrNotExist where there is
// none.
func (f erofsFiles) lookup(name string) (*erofs.Inode, error) {
	dir := f.root
	for _, part := range strings.Split(strings.Trim(name, "/"), "/") {
		if !dir.IsDir() {
			return nil, fs.ErrNotExist
		}
		entries, err := dir.ReadDir()
		if err != nil {
			return nil, err
		}
		var found *erofs.Inode
		for _, d := range entries {
			if d.Name == part {
				if found, err = f.img.Inode(d.NID); err != nil {
					return nil, err
				}
				break
			}
		}
		if found == nil {
			return nil, fs.ErrNotExist
		}
		dir = found
	}
	return dir, nil
}

// ReadFile implements [dpkg.Files].
func (f erofsFiles) ReadFile(name string, limit int64) ([]byte, error) {
	inode, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	if !inode.IsRegular() {
		return nil, fs.ErrNotExist
	}
	if inode.Size > limit {
		return nil, fmt.Errorf("%s of %d bytes: %w", name, inode.Size, ErrLimit)
	}
	return io.ReadAll(content.Reader(content.Of(inode, inode.Size)))
}

// List implements [dpkg.Files].
func (f erofsFiles) List(name string) ([]string, error) {
	inode, err := f.lookup(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !inode.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := inode.ReadDir()
	names := make([]string, 0, len(entries))
	for _, d := range entries {
		names = append(names, d.Name)
	}
	return names, err
}

// Readlink implements [dpkg.Files].
func (f erofsFiles) Readlink(name string) (string, error) {
	inode, err := f.lookup(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !inode.IsSymlink() {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return inode.Readlink()
}
