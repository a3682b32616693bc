package record

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/attest/tree"
)

// The folders whose place means something; see the package documentation.
const (
	lockedFolder    = "locked"
	selectionFolder = "selection"
	programFolder   = "program"
	moduleFolder    = "go"
)

// TreeSuffix ends the name of a folder that is one item as a whole.
const TreeSuffix = ".tree"

// list names and hashes what lies below root, on all processors.
func (p *Plan) list(ctx context.Context, root string) ([]Item, error) {
	var all []found
	modules := false
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch {
			case name == moduleFolder:
				modules = true
				return fs.SkipDir
			case !strings.HasSuffix(name, TreeSuffix):
				return nil
			}
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		all = append(all, found{path, info})
		if d.IsDir() {
			return fs.SkipDir
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	items := make([]Item, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range all {
		g.Go(func() (err error) {
			items[i], err = f.item(gctx, root, p.Index)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if modules {
		found, err := moduleItems(ctx, filepath.Join(root, moduleFolder), filepath.Join(p.In, "source", "go.sum"))
		if err != nil {
			return nil, err
		}
		items = append(items, found...)
	}
	return items, nil
}

// found is a file, link or folder that is an item.
type found struct {
	path string
	info os.FileInfo
}

// item hashes one file, link or whole folder and names it by its place.
func (f found) item(ctx context.Context, root string, x *Index) (Item, error) {
	if err := ctx.Err(); err != nil {
		return Item{}, err
	}
	rel, err := filepath.Rel(root, f.path)
	if err != nil {
		return Item{}, err
	}
	item := Item{Name: filepath.ToSlash(rel)}
	folder, _, _ := strings.Cut(item.Name, "/")
	if folder == programFolder || folder == selectionFolder {
		item.Use = Tool
	}
	switch mode := f.info.Mode(); {
	case mode.IsDir():
		entries, err := tree.Read(ctx, f.path)
		if err != nil {
			return Item{}, err
		}
		item.SHA256, item.Size = tree.Digest(entries), int64(len(tree.Manifest(entries)))
		return item, nil
	case mode.Type() == fs.ModeSymlink && folder != lockedFolder:
		target, err := os.Readlink(f.path)
		if err != nil {
			return Item{}, err
		}
		sum := sha256.Sum256([]byte(target))
		item.SHA256, item.Size = hex.EncodeToString(sum[:]), int64(len(target))
		return item, nil
	case !mode.IsRegular():
		return Item{}, fmt.Errorf("%s: neither a file nor a link; a folder that holds such things is recorded as a whole (its name ends in %s)", f.path, TreeSuffix)
	}
	if item.SHA256, item.Size, err = tree.HashFile(f.path, false); err != nil || folder != lockedFolder {
		return item, err
	}
	entry, ok := x.find(item.SHA256)
	if !ok {
		return Item{}, fmt.Errorf("%w: %s (sha256 %s)", ErrNotLocked, f.path, item.SHA256)
	}
	return entry.item(item.Size, ""), nil
}

// merge sorts items by name and drops one that is there twice, as when a
// package is both material and part of the container; then it counts as
// material.
func merge(items []Item) ([]Item, error) {
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Use, b.Use))
	})
	var out []Item
	for _, item := range items {
		if n := len(out); n > 0 && out[n-1].Name == item.Name {
			if out[n-1].SHA256 != item.SHA256 {
				return nil, fmt.Errorf("two files are called %q and differ", item.Name)
			}
			continue
		}
		out = append(out, item)
	}
	return out, nil
}
