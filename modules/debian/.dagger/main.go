// Debian turns the lock of an apt archive into packages, root file systems and
// source trees. Each function is a run or two of the debian program; what it
// depends on is in its arguments, so that a step is done again only when the
// content of its own selection changes. Each step leaves a record of what went
// in and what came out (attest/record), for which its files lie in /in and /out
// under the names that they have in the record.
package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"dagger/debian/internal/dagger"
)

type Debian struct {
	// The debian program (modules/debian/cmd/debian).
	Program *dagger.File
	// The sandbox program (modules/sandbox).
	Sandbox *dagger.File
	// The record program (attest/cmd/record).
	Record *dagger.File
	// Mirrors, words of the form ARCHIVE=URL.
	Mirrors *dagger.Secret
	// The lock, for the permanent homes of its files.
	Locked *dagger.File
	// A name for a package cache of its own.
	Cache string
}

func New(
	// The debian program, static (modules/debian/cmd/debian).
	program *dagger.File,
	// The sandbox program, static (modules/sandbox).
	sandbox *dagger.File,
	// The record program, static (attest/cmd/record).
	record *dagger.File,
	// Mirrors, as words of the form ARCHIVE=URL; tried in order, before the
	// permanent homes. A secret, because an address may hold a password, and
	// because with a cacheKey it is in no step's cache key: where a file comes
	// from does not change what it is.
	// +optional
	mirrors *dagger.Secret,
	// The lock: it says where its files can be had for good, when no mirror has
	// them. It is in the cache key of no step that is recorded.
	// +optional
	lock *dagger.File,
	// A name for a package cache of its own: with a new one everything is fetched
	// and made anew.
	// +optional
	cache string,
) *Debian {
	return &Debian{Program: program, Sandbox: sandbox, Record: record, Mirrors: mirrors, Locked: lock, Cache: cache}
}

// Made is what steps made: the files of the last one, and the records of all; of
// those in another world the traces too, in the folder trace.
type Made struct {
	Files   *dagger.Directory
	Records *dagger.Directory
}

const (
	programs       = "/in/program/"
	program        = programs + "debian"
	sandbox        = programs + "sandbox"
	record         = programs + "record"
	selections     = "/in/selection/"
	traces         = "/trace"
	lockFile       = "/in/source/debian.lock.json"
	definitionFile = "/in/source/mangos.toml"
)

// Lock makes a lock from the archive's signed Releases. It asks the archive
// each time.
// +cache="never"
func (m *Debian) Lock(
	// mangos.toml and the archive keys that it names, in their places.
	definition *dagger.Directory,
	// The distribution; empty for the definition's default.
	// +optional
	distribution string,
	// The lock that the new one takes the place of: nothing may be older than there.
	// +optional
	present *dagger.File,
	// Accepts suites and versions that are older, or a present lock that cannot be read.
	// +optional
	acceptOlder bool,
) *dagger.File {
	ctr := m.networked().WithDirectory("/definition", definition)
	args := []string{program, "lock", "--definition", "/definition/mangos.toml", "--distribution", distribution,
		"--cache", "/cache", "--sandbox", sandbox, "--out", "/debian.lock.json"}
	if present != nil {
		ctr, args = ctr.WithMountedFile(lockFile, present), append(args, "--present", lockFile)
	}
	if acceptOlder {
		args = append(args, "--accept-older")
	}
	return ctr.WithExec(args, dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		File("/debian.lock.json")
}

// Selections returns what each step needs of a lock: SET.json for the packages
// of a set, source-NAME.json for the files of a source package that is built.
func (m *Debian) Selections(
	lock *dagger.File,
	// mangos.toml: the lock must fit it.
	definition *dagger.File,
) *Made {
	ctr := m.container().
		WithMountedFile(lockFile, lock).
		WithMountedFile(definitionFile, definition).
		WithExec([]string{record, "--step", "lock", "--record", "/record", "--", sandbox, "--in", "/in", "--out", "/out", "--",
			program, "select", "--lock", lockFile, "--definition", definitionFile, "--all", "/out/selection"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true})
	return &Made{Files: ctr.Directory("/out/selection"), Records: one("lock", ctr)}
}

// SourceSelections returns a selection, NAME_VERSION.json, for each source package
// that the packages of sets were built from, and for each that is built.
func (m *Debian) SourceSelections(lock *dagger.File, sets []string) *dagger.Directory {
	return m.container().
		WithMountedFile(lockFile, lock).
		WithExec([]string{sandbox, "--", program, "select", "--lock", lockFile, "--sources-of", strings.Join(sets, ","), "--out", "/out/sources"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/out/sources")
}

// Identity returns what is known of a source package, as the attest program says
// it, by those of its files that are still to be had.
func (m *Debian) Identity(
	// A file of SourceSelections.
	selected *dagger.File,
	// The attest program, static (attest/cmd/attest).
	attest *dagger.File,
) *dagger.File {
	const selection = selections + "source.json"
	fetch := []string{program, "fetch", "--available", "--selection", selection, "--cache", "/cache", "--out", "/out/files", "--why", "/out/why"}
	ctr := m.networked().WithMountedFile(selection, selected).WithDirectory("/out", dag.Directory())
	if m.Locked != nil {
		ctr, fetch = ctr.WithMountedFile(lockFile, m.Locked), append(fetch, "--lock", lockFile)
	}
	fetched := ctr.WithExec(fetch).Directory("/out")
	return m.container().
		WithMountedFile("/in/program/attest", attest).
		WithMountedFile(selection, selected).
		WithMountedDirectory("/in/files", fetched.Directory("files")).
		WithMountedFile("/in/why", fetched.File("why")).
		WithExec([]string{sandbox, "--", "/in/program/attest", "sources", "--selection", selection,
			"--files", "/in/files", "--why", "/in/why", "--out", "/out/identity.json"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		File("/out/identity.json")
}

// one returns a folder with the record that a step left.
func one(step string, ctr *dagger.Container) *dagger.Directory {
	return dag.Directory().WithFile(step+".json", ctr.File("/record"))
}

// exitGone is the debian program's exit code for a locked file that no mirror has.
const exitGone = 3

// Packages returns the files of a selection, fetched and checked: from the
// mirrors, or, where there is none or one that has dropped a file, from the
// permanent homes. Those have another address with each lock, and who needs them
// depends on the mirrors: so neither they nor the lock are part of the step that is
// recorded, which is the same for everybody. It finds in the volume what a step
// before it fetched from there.
func (m *Debian) Packages(
	ctx context.Context,
	// A file of Selections.
	selected *dagger.File,
) (*Made, error) {
	file, err := selected.Name(ctx)
	if err != nil {
		return nil, err
	}
	step := "packages-" + strings.TrimSuffix(file, ".json")
	fetch := []string{program, "fetch", "--selection", selections + file, "--cache", "/cache", "--out", "/out/locked"}
	recorded := append([]string{record, "--step", step, "--record", "/record", "--cache", "/cache", "--"}, fetch...)
	ctr := m.networked().WithMountedFile(selections+file, selected)
	made := func(c *dagger.Container) *Made {
		return &Made{Files: c.Directory("/out/locked"), Records: one(step, c)}
	}
	if m.Mirrors != nil || m.Locked == nil {
		fetched, err := ctr.WithExec(recorded).Sync(ctx)
		var failed *dagger.ExecError
		if err == nil {
			return made(fetched), nil
		}
		if m.Locked == nil || !errors.As(err, &failed) || failed.ExitCode != exitGone {
			return nil, err
		}
		// A step that failed is not run again in the same call; this makes it another.
		ctr = ctr.WithEnvVariable("FETCHED", "from the permanent homes")
	}
	_, err = ctr.
		WithMountedFile(lockFile, m.Locked).
		// The volume may have been emptied since the last time.
		WithEnvVariable("ASKED", time.Now().String()).
		WithExec(append(fetch, "--lock", lockFile)).
		Sync(ctx)
	if err != nil {
		return nil, err
	}
	fetched, err := ctr.WithExec(recorded).Sync(ctx)
	if err != nil {
		return nil, err
	}
	return made(fetched), nil
}

// Origin returns the indexes of the distribution that the lock's signed Releases
// name, as one file: what the lock is held against offline.
func (m *Debian) Origin(
	lock *dagger.File,
	// mangos.toml and the archive keys that it names, in their places.
	definition *dagger.Directory,
	// What the file's name begins with.
	name string,
) *Made {
	out := name + ".origin.tar.zst"
	ctr := m.networked().
		WithMountedFile(lockFile, lock).
		WithMountedDirectory("/in/source/modules/debian/keys", definition.Directory("modules/debian/keys")).
		WithMountedFile(definitionFile, definition.File("mangos.toml")).
		WithExec([]string{record, "--step", "origin", "--record", "/record", "--cache", "/cache", "--",
			program, "origin", "--lock", lockFile, "--definition", definitionFile, "--cache", "/cache", "--out", "/out/" + out})
	return &Made{Files: ctr.Directory("/out"), Records: one("origin", ctr)}
}

// Rootfs returns the root file system that a selection's packages make.
func (m *Debian) Rootfs(
	ctx context.Context,
	// A file of Selections.
	selected *dagger.File,
	// Not empty: makes it again in another world (see modules/sandbox).
	// +optional
	variation string,
) (*Made, error) {
	return m.unpack(ctx, "bootstrap", selected, variation)
}

// Extracted returns the tree of a selection's packages, unpacked only.
func (m *Debian) Extracted(
	ctx context.Context,
	// A file of Selections.
	selected *dagger.File,
	// Not empty: makes it again in another world (see modules/sandbox).
	// +optional
	variation string,
) (*Made, error) {
	return m.unpack(ctx, "extract", selected, variation)
}

func (m *Debian) unpack(ctx context.Context, command string, selected *dagger.File, variation string) (*Made, error) {
	set, fetched, ctr, err := m.unpacking(ctx, command, selected, variation)
	if err != nil {
		return nil, err
	}
	records := fetched.Records.WithDirectory("/", one("tree-"+set, ctr))
	if variation != "" {
		records = records.WithDirectory("trace", ctr.Directory(traces))
	}
	return &Made{Files: ctr.Directory("/out/" + set + ".tree"), Records: records}, nil
}

// Contents returns what dpkg's database would say of the tree that Extracted
// returns: which package brought each file.
func (m *Debian) Contents(
	ctx context.Context,
	// A file of Selections.
	selected *dagger.File,
	// As for Extracted.
	// +optional
	variation string,
) (*dagger.Directory, error) {
	set, _, ctr, err := m.unpacking(ctx, "extract", selected, variation)
	if err != nil {
		return nil, err
	}
	return ctr.Directory("/out/" + set + ".database.tree"), nil
}

// unpacking returns the container that has unpacked a selection, the selection's
// name and its packages.
func (m *Debian) unpacking(ctx context.Context, command string, selected *dagger.File, variation string) (
	set string, fetched *Made, ctr *dagger.Container, err error,
) {
	if fetched, err = m.Packages(ctx, selected); err != nil {
		return "", nil, nil, err
	}
	file, err := selected.Name(ctx)
	if err != nil {
		return "", nil, nil, err
	}
	set = strings.TrimSuffix(file, ".json")
	run := []string{record, "--step", "tree-" + set, "--record", "/record", "--", sandbox, "--in", "/in", "--out", "/out"}
	args := []string{"--", program, command, "--selection", selections + file, "--packages", "/in/locked", "--root", "/out/" + set + ".tree"}
	if command == "bootstrap" {
		run, args = append(run, "--nest"), append(args, "--sandbox", sandbox)
	} else {
		args = append(args, "--database", "/out/"+set+".database.tree")
	}
	ctr = m.container().
		WithMountedFile(selections+file, selected).
		WithMountedDirectory("/in/locked", fetched.Files)
	if variation != "" {
		ctr = ctr.
			WithEnvVariable("MANGOS_VARIATION", variation).
			WithEnvVariable("MANGOS_TRACE", traces).
			WithDirectory(traces, dag.Directory())
	}
	return set, fetched, ctr.WithExec(append(run, args...), dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}), nil
}

// container holds the programs and nothing else.
func (m *Debian) container() *dagger.Container {
	return dag.Container().
		WithMountedFile(program, m.Program).
		WithMountedFile(sandbox, m.Sandbox).
		WithMountedFile(record, m.Record).
		WithDirectory("/out", dag.Directory()).
		WithNewFile("/tmp/.keep", "")
}

// networked is for the steps that fetch: what they fetch is checked against a
// signature or a lock. The volume holds files under their digests, and each is
// checked again when it is taken out.
func (m *Debian) networked() *dagger.Container {
	ctr := m.container().WithMountedCache("/cache", dag.CacheVolume("debian-packages"+m.Cache))
	if m.Mirrors == nil {
		return ctr
	}
	return ctr.WithSecretVariable("MANGOS_MIRRORS", m.Mirrors)
}
