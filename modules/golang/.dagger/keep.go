package main

import (
	"context"
	_ "embed" // the scripts that keep
	"fmt"
	"strings"
	"time"

	"dagger/golang/internal/dagger"
)

// Two of them, keep.sh and keepfiles.sh, write to a volume that other calls use at the same time, and that a power
// cut may have left in any state. All run with GNU's tools and with BusyBox's: that is what
// Dagger's own container for Go modules has.
var (
	//go:embed sums.sh
	sums string
	//go:embed keep.sh
	keepFolder string
	//go:embed keepfiles.sh
	keepFiles string
	//go:embed take.sh
	takeFolder string
	//go:embed takefile.sh
	takeFile string
)

// Keep returns a folder with the content of another that is known by this content
// and nothing else.
//
// A cached result knows how it was made, down to the checkout that its source
// came from, and can be read only while that is there. What was kept lies in a
// volume under its digest, and comes from there.
func (m *Golang) Keep(ctx context.Context, folder *dagger.Directory) (*dagger.Directory, error) {
	digest, err := folder.Digest(ctx)
	if err != nil {
		return nil, fmt.Errorf("keep folder: %w", err)
	}
	name := "folder-" + strings.ReplaceAll(digest, ":", "-")
	_, err = m.store().
		WithMountedDirectory("/in", folder).
		With(always).
		WithExec([]string{"sh", "-euc", sums + keepFolder, "sh", "/store", name, "/in"}).
		Sync(ctx)
	if err != nil {
		return nil, fmt.Errorf("keep folder: %w", err)
	}
	return m.store().
		WithExec([]string{"sh", "-euc", sums + takeFolder, "sh", "/store/" + name, "/kept"}).
		Directory("/kept"), nil
}

// keepFiles is Keep for the files of a folder, each by itself.
func (m *Golang) keepFiles(ctx context.Context, folder *dagger.Directory) (*dagger.Directory, error) {
	list, err := m.store().
		WithMountedDirectory("/in", folder).
		With(always).
		WithExec([]string{"sh", "-euc", keepFiles, "sh", "/store", "/in"}).
		Stdout(ctx)
	if err != nil {
		return nil, fmt.Errorf("keep files: %w", err)
	}
	kept := dag.Directory()
	for line := range strings.Lines(list) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok {
			return nil, fmt.Errorf("keep files: cannot read %q", line)
		}
		kept = kept.WithFile(name, m.store().
			WithExec([]string{"sh", "-euc", takeFile, "sh", "/store", sum, "/kept"}).
			File("/kept"))
	}
	return kept, nil
}

// store returns a container with the volume of what was kept.
func (m *Golang) store() *dagger.Container {
	return m.networked().WithMountedCache("/store", dag.CacheVolume("kept"))
}

// always makes a step run: a volume may have been emptied since the last time.
func always(c *dagger.Container) *dagger.Container {
	return c.WithEnvVariable("ASKED", time.Now().String())
}
