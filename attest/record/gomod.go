package record

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/attest/purl"
	"github.com/mastercard/mangos/attest/tree"
)

// moduleItems names the modules in a module cache, after it has held each
// against the source's go.sum: its archive, and the files that it was unpacked
// to, which are what a compiler reads.
func moduleItems(ctx context.Context, cache, goSum string) ([]Item, error) {
	sums, err := gosum.Load(goSum)
	if err != nil {
		return nil, fmt.Errorf("go modules: %w", err)
	}
	archives, err := moduleArchives(filepath.Join(cache, "cache", "download"))
	if err != nil {
		return nil, fmt.Errorf("go modules: %w", err)
	}
	items := make([]Item, len(archives))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, a := range archives {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			items[i], err = a.item(cache, sums)
			return err
		})
	}
	return items, g.Wait()
}

// archive is a module's zip file in a module cache.
type archive struct {
	module.Version
	path string
}

// moduleArchives finds the archives below the download folder of a module
// cache, whose layout is that of the module proxy protocol.
func moduleArchives(download string) ([]archive, error) {
	var list []archive
	err := filepath.WalkDir(download, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".zip" {
			return err
		}
		rel, err := filepath.Rel(download, path)
		if err != nil {
			return err
		}
		dir, file := filepath.Split(filepath.ToSlash(rel))
		escaped, ok := strings.CutSuffix(dir, "/@v/")
		if !ok {
			return fmt.Errorf("%s: not where a module cache has its archives", path)
		}
		a := archive{path: path}
		if a.Path, err = module.UnescapePath(escaped); err != nil {
			return err
		}
		if a.Version.Version, err = module.UnescapeVersion(strings.TrimSuffix(file, ".zip")); err != nil {
			return err
		}
		list = append(list, a)
		return nil
	})
	return list, err
}

// item checks a module and hashes its archive.
func (a archive) item(cache string, sums gosum.Sums) (Item, error) {
	want, ok := sums[a.Version]
	if !ok {
		return Item{}, fmt.Errorf("%w: go.sum has no line for %s", ErrNotLocked, a.Version)
	}
	escaped, err := module.EscapePath(a.Path)
	if err != nil {
		return Item{}, err
	}
	version, err := module.EscapeVersion(a.Version.Version)
	if err != nil {
		return Item{}, err
	}
	zip, err := dirhash.HashZip(a.path, dirhash.Hash1)
	if err != nil {
		return Item{}, err
	}
	files, err := dirhash.HashDir(filepath.Join(cache, escaped+"@"+version), a.String(), dirhash.Hash1)
	if err != nil {
		return Item{}, err
	}
	if zip != want || files != want {
		return Item{}, fmt.Errorf("%w: %s is %s as an archive and %s unpacked, go.sum says %s", ErrNotLocked, a.Version, zip, files, want)
	}
	item := Item{Name: moduleFolder + "/" + a.String() + ".zip", URI: purl.Golang(a.Path, a.Version.Version)}
	item.SHA256, item.Size, err = tree.HashFile(a.path, false)
	return item, err
}
