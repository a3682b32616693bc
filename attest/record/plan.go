package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Plan is what to run and what to record.
type Plan struct {
	Step string
	// Command is empty for a step that only names what lies in Out.
	Command         []string
	Parameters      map[string]string
	SourceDateEpoch int64
	// In and Out are the folders of inputs and products; see the package
	// documentation for what their places mean. In may be absent.
	In, Out string
	// Index knows the files below locked/. Selections that lie in the folder
	// selection/ of In are added to it.
	Index *Index
	// Container names the selection (below In) that the container was made
	// of; empty if it was not made by the package manager. Status is dpkg's
	// database.
	Container, Status string
	// Secrets are the paths where private keys are mounted, Caches those with
	// content of earlier runs.
	Secrets, Caches []string
	// MountInfo is the kernel's list of mounts to check; empty for no check.
	MountInfo string
}

// Run records a run of p: it hashes the inputs, calls run for the command, and
// hashes the products. It returns run's error unchanged.
func Run(ctx context.Context, p Plan, run func(ctx context.Context, command []string) error) (*Record, error) {
	fail := func(err error) (*Record, error) { return nil, fmt.Errorf("record %s: %w", p.Step, err) }
	if p.Index == nil {
		p.Index = NewIndex()
	}
	if err := p.checkMounts(); err != nil {
		return fail(err)
	}
	if err := p.checkStale(); err != nil {
		return fail(err)
	}
	r := &Record{
		Format: Format, Step: p.Step, Command: p.Command, Parameters: p.Parameters,
		SourceDateEpoch: p.SourceDateEpoch, Caches: used(p.Caches),
	}
	before, err := takeSnapshot(ctx, p.In)
	if err != nil {
		return fail(fmt.Errorf("inputs: %w", err))
	}
	materials, err := p.inputs(ctx)
	if err != nil {
		return fail(err)
	}
	if err := before.settle(ctx); err != nil {
		return fail(err)
	}
	r.Started = now()
	if len(p.Command) > 0 {
		if err := run(ctx, p.Command); err != nil {
			return nil, err
		}
	}
	r.Finished = now()
	if err := p.checkUnchanged(ctx, before, materials); err != nil {
		return fail(err)
	}
	made, err := p.products(ctx)
	if err != nil {
		return fail(err)
	}
	r.Materials, r.Products = materials, made
	if err := r.check(); err != nil {
		return fail(err)
	}
	return r, nil
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// inputs hashes all inputs.
func (p *Plan) inputs(ctx context.Context) ([]Item, error) {
	items := []Item{}
	if _, err := os.Stat(p.In); p.In != "" && !errors.Is(err, fs.ErrNotExist) {
		selections, err := loadSelections(filepath.Join(p.In, selectionFolder))
		if err != nil {
			return nil, err
		}
		p.Index.add(selections)
		if items, err = p.list(ctx, p.In); err != nil {
			return nil, fmt.Errorf("inputs: %w", err)
		}
	}
	if p.Container != "" {
		tools, err := p.container()
		if err != nil {
			return nil, err
		}
		items = append(items, tools...)
	}
	return merge(items)
}

// checkUnchanged makes sure that the inputs are what they were before the command ran:
// by what the kernel says of them, and, where that leaves a doubt, by their content.
func (p *Plan) checkUnchanged(ctx context.Context, before snapshot, materials []Item) error {
	after, err := takeSnapshot(ctx, p.In)
	if err != nil {
		return fmt.Errorf("inputs: %w: %w", ErrChanged, err)
	}
	touched, err := before.compare(after)
	if err != nil || !touched {
		return err
	}
	again, err := p.inputs(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	for i, m := range materials {
		if i >= len(again) || again[i] != m {
			return fmt.Errorf("%w: %s has other content", ErrChanged, m.Name)
		}
	}
	if len(again) > len(materials) {
		return fmt.Errorf("%w: %s is new", ErrChanged, again[len(materials)].Name)
	}
	return nil
}

// products hashes what lies in Out.
func (p *Plan) products(ctx context.Context) ([]Item, error) {
	items, err := p.list(ctx, p.Out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("products: %w: %w", ErrMissing, err)
	case err != nil:
		return nil, fmt.Errorf("products: %w", err)
	case len(items) == 0:
		return nil, fmt.Errorf("products: %w: %s is empty", ErrMissing, p.Out)
	}
	for i := range items {
		items[i].Use = ""
	}
	return merge(items)
}

// checkStale makes sure that what lies in Out after the command comes from it.
func (p *Plan) checkStale() error {
	if len(p.Command) == 0 {
		return nil // it names what is there
	}
	return filepath.WalkDir(p.Out, func(path string, d fs.DirEntry, err error) error {
		if path == p.Out && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			err = fmt.Errorf("%w: %s", ErrStale, path)
		}
		return err
	})
}

// used returns those of the caches that hold something.
func used(caches []string) []string {
	var full []string
	for _, c := range caches {
		if !empty(c) {
			full = append(full, c)
		}
	}
	return full
}

// empty reports whether the folder at p holds no file at any depth.
func empty(p string) bool {
	entries, err := os.ReadDir(p)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	for _, e := range entries {
		if !e.IsDir() || !empty(path.Join(p, e.Name())) {
			return false
		}
	}
	return true
}
