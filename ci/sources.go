package main

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"

	"dagger/mangos/internal/dagger"
)

// atOnce is how many sources are fetched and looked at at the same time.
const atOnce = 3

// Sources finds out which sources the image was built from: the digest of each
// unpacked upstream tree, and the upstream commit where a source proves one. It
// fetches all of them, which takes a while the first time; the file that it
// returns, debian.sources.json, belongs beside the lock, and every build takes it
// from there. What packages declare is read in the distribution's indexes, too, which
// the lock names. What is gone from the servers tells nothing; it is named as missing,
// with where it was looked for.
func (m *Mangos) Sources(ctx context.Context) (*dagger.File, error) {
	folder := m.debian().SourceSelections(m.kept(dag.Directory().WithFile("debian.lock.json", m.Locked)).File("debian.lock.json"),
		[]string{"root", "initrd", "microcode"})
	names, err := folder.Entries(ctx)
	if err != nil {
		return nil, err
	}
	attest := m.program("attest")
	texts, errs := make([]string, len(names)), make([]error, len(names))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			text, err := folder.File(name).Contents(ctx)
			if err == nil {
				// A new file is known by its content: a source that stays the same in
				// another lock is not looked at again.
				selection := dag.Directory().WithNewFile(name, text).File(name)
				texts[i], err = m.debian().Identity(selection, attest).Contents(ctx)
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sets := dag.Directory()
	const indexes = "sources"
	origin := m.origin(indexes).Files().File(indexes + ".origin.tar.zst")
	command := []string{"/bin/attest", "sources", "--out", "/debian.sources.json",
		"--origin", "/origin.tar.zst", "--lock", "/debian.lock.json", "--definition", "/definition/mangos.toml"}
	for i, name := range names {
		name = strings.TrimSuffix(name, path.Ext(name)) + ".sources.json"
		sets = sets.WithNewFile(name, texts[i])
		command = append(command, "/sets/"+name)
	}
	return dag.Container().
		WithFile("/bin/attest", attest).
		WithMountedDirectory("/sets", sets).
		WithMountedFile("/origin.tar.zst", origin).
		WithMountedFile("/debian.lock.json", m.Locked).
		WithMountedDirectory("/definition", m.Definition).
		WithExec(command).
		File("/debian.sources.json"), nil
}
