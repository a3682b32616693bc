package sbom

import (
	"context"
	"fmt"
	"runtime"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/format/erofs"
)

// Limits of an image: how deep its folders may be nested, and the bytes of its files.
const (
	maxDepth   = 256
	maxContent = 64 << 30
)

// CheckImage holds the files of a document's component against an image: every
// regular file and symbolic link of the image is listed with its digest, and
// everything listed is there. It returns how many files that were. Errors wrap
// [ErrDiffers] or tell what could not be read.
func CheckImage(ctx context.Context, doc *spdx.Document, component string, img *erofs.Image) (int, error) {
	l, err := listingOf(doc, component)
	if err != nil {
		return 0, fmt.Errorf("check image: %w", err)
	}
	root, err := img.Root()
	if err != nil {
		return 0, fmt.Errorf("check image: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	left := int64(maxContent)
	err = walkImage(img, root, ".", 0, func(name string, inode *erofs.Inode) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if left -= inode.Size; left < 0 {
			return fmt.Errorf("%s: the files have more than %d bytes together: %w", name, int64(maxContent), ErrDiffers)
		}
		f, err := l.find(name)
		if err != nil {
			return err
		}
		g.Go(func() error { return same(f, inode) })
		return nil
	})
	if other := g.Wait(); other != nil {
		err = other
	}
	if err != nil {
		return 0, fmt.Errorf("check image: %w", err)
	}
	n, err := l.complete()
	if err != nil {
		return 0, fmt.Errorf("check image: %w", err)
	}
	return n, nil
}

// walkImage calls visit for each file and link below a folder.
func walkImage(img *erofs.Image, dir *erofs.Inode, at string, depth int, visit func(string, *erofs.Inode) error) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: nested deeper than %d: %w", at, maxDepth, ErrDiffers)
	}
	entries, err := dir.ReadDir()
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	for _, e := range entries {
		name := at + "/" + e.Name
		inode, err := img.Inode(e.NID)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if inode.IsDir() {
			err = walkImage(img, inode, name, depth+1, visit)
		} else {
			err = visit(name, inode)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// same holds a file of an image against its entry.
func same(f *spdx.File, inode *erofs.Inode) error {
	switch {
	case inode.IsSymlink():
		target, err := inode.Readlink()
		if err != nil {
			return fmt.Errorf("%s: %w", f.FileName, err)
		}
		return sameLink(f, target)
	case !inode.IsRegular():
		return fmt.Errorf("%s is neither a file nor a symbolic link (%s): %w", f.FileName, inode.TypeName(), ErrDiffers)
	}
	return sameFile(f, inode.Open().WriteTo)
}
