package main

import (
	"context"

	"dagger/mangos/internal/dagger"
)

// records returns the records of all steps of a release, STEP.json, as a folder
// that is known by its content: those of the image's own steps are given.
func (m *Mangos) records(ctx context.Context, p plan, more ...*dagger.Directory) (*dagger.Directory, error) {
	all := m.sourceRecord().
		WithDirectory("/", p.records).
		WithDirectory("/", m.built().Records()).
		WithDirectory("/", m.selections().Records())
	for _, folder := range more {
		all = all.WithDirectory("/", folder)
	}
	own := m.debianWith(m.PackageCache)
	for _, s := range []struct {
		name string
		make func(*dagger.File) *dagger.DebianMade
		used bool
	}{
		{"root", func(f *dagger.File) *dagger.DebianMade { return own.Rootfs(f) }, true},
		{"initrd", func(f *dagger.File) *dagger.DebianMade { return own.Extracted(f) }, true},
		{"microcode", func(f *dagger.File) *dagger.DebianMade { return own.Extracted(f) }, p.Microcode},
		{"imagetools", func(f *dagger.File) *dagger.DebianMade { return m.debian().Rootfs(f) }, true},
		{"build", func(f *dagger.File) *dagger.DebianMade { return m.debian().Rootfs(f) }, true},
		{"source-linux", func(f *dagger.File) *dagger.DebianMade { return m.debian().Packages(f) }, true},
	} {
		if !s.used {
			continue
		}
		selection, err := m.selection(ctx, s.name)
		if err != nil {
			return nil, err
		}
		all = all.WithDirectory("/", s.make(selection).Records())
	}
	return m.kept(all), nil
}

// lockFiles returns what names every input of a release, the lock, the identities of the
// sources and go.sum, under names of the release, and the distribution's indexes: with
// them it is verified and traced offline. The record is of the step that got the indexes.
func (m *Mangos) lockFiles(p plan) (files, records *dagger.Directory) {
	name := p.Name + "_" + p.Version
	origin := m.origin(name)
	return origin.Files().
		WithFile(name+".lock.json", m.Locked).
		WithFile(name+".sources.json", m.Identities).
		WithFile(name+".go.sum", m.Source.File("go.sum")), origin.Records()
}

// origin returns the distribution's indexes that the lock names, as one file whose name
// begins with name, and the record of the step that got them.
func (m *Mangos) origin(name string) *dagger.DebianMade {
	definition := m.kept(m.Definition.WithFile("debian.lock.json", m.Locked))
	return m.debian().Origin(definition.File("debian.lock.json"), definition, name)
}

// repository returns all files of this repository that any step may have.
func (m *Mangos) repository() *dagger.Directory {
	return m.kept(m.Source.
		WithDirectory("/", m.Definition).
		WithFile("debian.lock.json", m.Locked).
		WithFile("debian.sources.json", m.Identities).
		WithDirectory("modules/kernel/config", m.Fragments).
		WithDirectory("modules/image/tree", m.Trees))
}

// sourceRecord names all files of this repository that any step may have.
func (m *Mangos) sourceRecord() *dagger.Directory {
	return dag.Directory().WithFile("source.json", dag.Container().
		WithFile("/bin/record", m.program("record")).
		WithMountedDirectory("/out/source", m.repository()).
		WithExec([]string{"/bin/record", "--step", "source", "--record", "/record"}).
		File("/record"))
}
