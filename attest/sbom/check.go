package sbom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"

	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/format/erofs"
)

// ErrDiffers says that an image and its bill of materials do not fit together.
var ErrDiffers = errors.New("image and bill of materials differ")

// maxDepth bounds how deep an image's folders may be nested.
const maxDepth = 256

// CheckImage holds the files of a document's component against an image: every
// regular file and symbolic link of the image is listed with its digest, and
// everything listed is there; but for what the document says it leaves out. It
// returns how many files that were. Errors wrap [ErrDiffers] or tell what could
// not be read.
func CheckImage(ctx context.Context, doc *spdx.Document, component string, img *erofs.Image) (int, error) {
	listed := map[string]*spdx.File{}
	for _, f := range doc.Files {
		if ComponentOf(f.FileSPDXIdentifier) == component {
			listed[f.FileName] = f
		}
	}
	leftOut, err := leftOut(doc, component)
	if err != nil {
		return 0, fmt.Errorf("check image: %w", err)
	}
	root, err := img.Root()
	if err != nil {
		return 0, fmt.Errorf("check image: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	seen := map[string]bool{}
	err = walkImage(img, root, ".", 0, func(name string, inode *erofs.Inode) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if slices.Contains(leftOut, name) {
			return nil
		}
		f := listed[name]
		if f == nil || seen[name] {
			return fmt.Errorf("%s is in the image, and not listed once: %w", name, ErrDiffers)
		}
		seen[name] = true
		g.Go(func() error { return same(f, inode) })
		return nil
	})
	if other := g.Wait(); other != nil {
		err = other
	}
	if err != nil {
		return 0, fmt.Errorf("check image: %w", err)
	}
	for name := range listed {
		if !seen[name] {
			return 0, fmt.Errorf("check image: %s is listed, and not in the image: %w", name, ErrDiffers)
		}
	}
	if len(seen) == 0 {
		return 0, fmt.Errorf("check image: the document lists no file of %s: %w", component, ErrDiffers)
	}
	return len(seen), nil
}

// leftOut are the files that a component's package excludes.
func leftOut(doc *spdx.Document, component string) ([]string, error) {
	for _, p := range doc.Packages {
		if p.PackageSPDXIdentifier == componentID(component) && p.PackageVerificationCode != nil {
			return p.PackageVerificationCode.ExcludedFiles, nil
		}
	}
	return nil, fmt.Errorf("the document has no component %s with files: %w", component, ErrDiffers)
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

// same holds a file against its entry.
func same(f *spdx.File, inode *erofs.Inode) error {
	target, isLink := Target(f)
	switch {
	case inode.IsSymlink():
		got, err := inode.Readlink()
		if err != nil {
			return fmt.Errorf("%s: %w", f.FileName, err)
		}
		sum := sha256.Sum256([]byte(got))
		if !isLink || got != target || hex.EncodeToString(sum[:]) != SHA256(f.Checksums) {
			return fmt.Errorf("%s leads to %.200q in the image: %w", f.FileName, got, ErrDiffers)
		}
		return nil
	case !inode.IsRegular() || isLink:
		return fmt.Errorf("%s is of another type in the image (%s): %w", f.FileName, inode.TypeName(), ErrDiffers)
	}
	h := sha256.New()
	r := io.NewSectionReader(inode.Open(), 0, inode.Size)
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("%s: %w", f.FileName, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != SHA256(f.Checksums) {
		return fmt.Errorf("%s has SHA-256 %s in the image, and %s in the list: %w", path.Clean(strings.TrimPrefix(f.FileName, ".")), got, SHA256(f.Checksums), ErrDiffers)
	}
	return nil
}
