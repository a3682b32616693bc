package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dagger/golang/internal/dagger"
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
	name := strings.ReplaceAll(digest, ":", "-")
	_, err = m.store().
		WithMountedDirectory("/in", folder).
		With(always).
		WithExec([]string{"sh", "-euc", `
			[ -e "/store/$1" ] || { new=$(mktemp -d /store/new.XXXXXX); cp -a /in/. "$new"; mv -T "$new" "/store/$1"; }`, "sh", name}).
		Sync(ctx)
	if err != nil {
		return nil, fmt.Errorf("keep folder: %w", err)
	}
	return m.store().
		WithExec([]string{"sh", "-euc", `cp -a "/store/$1" /kept; chmod 755 /kept`, "sh", name}).
		Directory("/kept"), nil
}

// keepFiles is Keep for the files of a folder, each by itself.
func (m *Golang) keepFiles(ctx context.Context, folder *dagger.Directory) (*dagger.Directory, error) {
	list, err := m.store().
		WithMountedDirectory("/in", folder).
		With(always).
		WithExec([]string{"sh", "-euc", `
			cd /in
			for f in *; do
				sum=$(sha256sum "$f" | cut -c 1-64)
				[ -e "/store/$sum" ] || { new=$(mktemp /store/new.XXXXXX); cp -p "$f" "$new"; mv "$new" "/store/$sum"; }
				echo "$sum $f"
			done`}).
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
		kept = kept.WithFile(name, m.store().WithExec([]string{"cp", "-p", "/store/" + sum, "/kept"}).File("/kept"))
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
