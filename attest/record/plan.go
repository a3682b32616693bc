package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mastercard/mangos/attest/tree"
)

// TreeSuffix ends the name of an item that is a whole folder.
const TreeSuffix = ".tree"

// Source says under which name a path goes into the record. Of a folder each
// regular file is an item, NAME/PATH-BELOW; with a name that ends in
// [TreeSuffix], the folder is one item, by the digest of its manifest (package
// tree).
type Source struct {
	Name, Path string
	Use        string // "" or [Tool]
}

// Plan is what to run and what to record.
type Plan struct {
	Step            string
	Command         []string // empty for a step that only names its products
	Parameters      map[string]string
	SourceDateEpoch int64
	Materials       []Source
	Products        []Source
	// Locked are folders (or files) of which every file must be in Index.
	Locked []string
	Index  *Index
	// Container is the selection that this container was made from; nil if
	// it was not made by the package manager. Status is dpkg's database.
	Container *Container
	// Secrets, Scratch and Caches are the other paths that may be mounted.
	Secrets, Scratch, Caches []string
	// MountInfo is the kernel's list of mounts to check; empty for no check.
	MountInfo string
}

// Container names the packages that a container consists of.
type Container struct {
	Packages []Package
	Status   string // path of dpkg's status file
}

// found is one input as it was before the command ran.
type found struct {
	path string
	info os.FileInfo
}

// Run records a run of p: it hashes the inputs, calls run for the command, and
// hashes the products. It returns run's error unchanged.
func Run(ctx context.Context, p Plan, run func(ctx context.Context, command []string) error) (*Record, error) {
	if err := p.checkMounts(); err != nil {
		return nil, fmt.Errorf("record %s: %w", p.Step, err)
	}
	if err := p.checkEmpty(); err != nil {
		return nil, fmt.Errorf("record %s: %w", p.Step, err)
	}
	r := &Record{
		Format: Format, Step: p.Step, Command: p.Command, Parameters: p.Parameters,
		SourceDateEpoch: p.SourceDateEpoch, Caches: p.Caches, Materials: []Item{},
	}
	materials, before, err := p.materials(ctx)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", p.Step, err)
	}
	r.Materials = append(r.Materials, materials...)
	r.Started = time.Now().UTC().Format(time.RFC3339)
	if len(p.Command) > 0 {
		if err := run(ctx, p.Command); err != nil {
			return nil, err
		}
	}
	r.Finished = time.Now().UTC().Format(time.RFC3339)
	if err := unchanged(before); err != nil {
		return nil, fmt.Errorf("record %s: %w", p.Step, err)
	}
	if r.Products, _, err = hashAll(ctx, p.Products); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrMissing, err)
		}
		return nil, fmt.Errorf("record %s: products: %w", p.Step, err)
	}
	sortItems(r.Materials)
	sortItems(r.Products)
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("record %s: %w", p.Step, err)
	}
	return r, nil
}

// materials hashes all inputs.
func (p *Plan) materials(ctx context.Context) ([]Item, []found, error) {
	items, before, err := hashAll(ctx, p.Materials)
	if err != nil {
		return nil, nil, fmt.Errorf("materials: %w", err)
	}
	var locked []Source
	for _, path := range p.Locked {
		locked = append(locked, Source{Name: "locked", Path: path})
	}
	lockedItems, lockedBefore, err := hashAll(ctx, locked)
	if err != nil {
		return nil, nil, fmt.Errorf("locked files: %w", err)
	}
	for i, item := range lockedItems {
		entry, ok := p.Index.find(item.SHA256)
		if !ok {
			return nil, nil, fmt.Errorf("%w: %s (sha256 %s)", ErrNotLocked, lockedBefore[i].path, item.SHA256)
		}
		items = append(items, entry.item(item.Size, ""))
	}
	if p.Container != nil {
		tools, err := p.Container.items()
		if err != nil {
			return nil, nil, err
		}
		items = append(items, tools...)
	}
	items, err = merge(items)
	return items, append(before, lockedBefore...), err
}

// merge drops an item that is there twice, as when a package is both material
// and part of the container; then it counts as material.
func merge(items []Item) ([]Item, error) {
	byName := map[string]int{}
	var out []Item
	for _, item := range items {
		i, ok := byName[item.Name]
		switch {
		case !ok:
			byName[item.Name] = len(out)
			out = append(out, item)
		case out[i].SHA256 != item.SHA256:
			return nil, fmt.Errorf("two inputs are called %q and differ", item.Name)
		case item.Use == "":
			out[i] = item
		}
	}
	return out, nil
}

// hashAll hashes the sources' files on all processors; items and found are in
// the same order.
func hashAll(ctx context.Context, sources []Source) ([]Item, []found, error) {
	var items []Item
	var files []found
	for _, s := range sources {
		if strings.HasSuffix(s.Name, TreeSuffix) {
			item, info, err := hashFolder(ctx, s)
			if err != nil {
				return nil, nil, err
			}
			items, files = append(items, item), append(files, found{s.Path, info})
			continue
		}
		names, list, err := s.files()
		if err != nil {
			return nil, nil, err
		}
		for i := range list {
			items = append(items, Item{Name: names[i], Use: s.Use})
		}
		files = append(files, list...)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range items {
		if items[i].SHA256 != "" {
			continue
		}
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			items[i].SHA256, items[i].Size, err = tree.HashFile(files[i].path, true)
			return err
		})
	}
	return items, files, g.Wait()
}

// hashFolder names a whole folder by its manifest.
func hashFolder(ctx context.Context, s Source) (Item, os.FileInfo, error) {
	info, err := os.Stat(s.Path)
	if err != nil {
		return Item{}, nil, err
	}
	if !info.IsDir() {
		return Item{}, nil, fmt.Errorf("%s: not a folder, as the name %q says", s.Path, s.Name)
	}
	entries, err := tree.Read(ctx, s.Path)
	if err != nil {
		return Item{}, nil, err
	}
	return Item{Name: s.Name, SHA256: tree.Digest(entries), Size: int64(len(tree.Manifest(entries))), Use: s.Use}, info, nil
}

// files lists the source's files with their names in the record.
func (s Source) files() (names []string, files []found, err error) {
	info, err := os.Stat(s.Path)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return []string{s.Name}, []found{{s.Path, info}}, nil
	}
	err = filepath.WalkDir(s.Path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s: not a regular file; record the folder as one item (a name that ends in %s)", path, TreeSuffix)
		}
		rel, err := filepath.Rel(s.Path, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		names, files = append(names, s.Name+"/"+filepath.ToSlash(rel)), append(files, found{path, info})
		return nil
	})
	return names, files, err
}

// unchanged compares inputs with what they were, by what the kernel keeps.
func unchanged(before []found) error {
	for _, f := range before {
		now, err := os.Stat(f.path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrChanged, err)
		}
		if !os.SameFile(f.info, now) || now.Size() != f.info.Size() || !now.ModTime().Equal(f.info.ModTime()) {
			return fmt.Errorf("%w: %s", ErrChanged, f.path)
		}
	}
	return nil
}

// checkEmpty makes sure that products and scratch folders come from this run.
// A folder that has products only below it may exist, if it holds nothing.
func (p *Plan) checkEmpty() error {
	if len(p.Command) == 0 {
		return nil // it names what is there
	}
	var paths []string
	for _, s := range p.Products {
		paths = append(paths, s.Path)
	}
	for _, path := range append(paths, p.Scratch...) {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%w: %s", ErrStale, path)
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("%w: %s holds %s", ErrStale, path, entries[0].Name())
		}
	}
	return nil
}

func sortItems(items []Item) {
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.Name, b.Name) })
}
