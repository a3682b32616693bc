// Debian turns the lock of an apt archive into packages, root file systems and
// source trees. Each function is one run of the debian program; what it depends
// on is in its arguments, so that a step is done again only when the content of
// its own selection changes.
package main

import (
	"context"
	"errors"

	"dagger/debian/internal/dagger"
)

type Debian struct {
	// The debian program (modules/debian/cmd/debian).
	Program *dagger.File
	// The sandbox program (modules/sandbox).
	Sandbox *dagger.File
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
	// Mirrors, as words of the form ARCHIVE=URL; tried in order, before the
	// permanent homes. A secret, because an address may hold a password, and
	// because with a cacheKey it is in no step's cache key: where a file comes
	// from does not change what it is.
	// +optional
	mirrors *dagger.Secret,
	// The lock: it says where its files can be had for good, when no mirror has
	// them. It is in no step's cache key as long as a mirror has them.
	// +optional
	lock *dagger.File,
	// A name for a package cache of its own: with a new one everything is fetched
	// and made anew.
	// +optional
	cache string,
) *Debian {
	return &Debian{Program: program, Sandbox: sandbox, Mirrors: mirrors, Locked: lock, Cache: cache}
}

const (
	program   = "/usr/bin/debian"
	sandbox   = "/usr/bin/sandbox"
	selection = "/in/selection.json"
	packages  = "/packages"
	root      = "/rootfs"
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
) *dagger.File {
	return m.networked().
		WithDirectory("/definition", definition).
		WithExec([]string{program, "lock", "--definition", "/definition/mangos.toml", "--distribution", distribution,
			"--cache", "/cache", "--sandbox", sandbox, "--out", "/debian.lock.json"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		File("/debian.lock.json")
}

// Selection returns what a step needs of a lock: the packages of a set, or the
// files of a source package.
func (m *Debian) Selection(
	ctx context.Context,
	lock *dagger.File,
	// mangos.toml: the lock must fit it.
	definition *dagger.File,
	// The name of a package set.
	// +optional
	set string,
	// The name of a source package.
	// +optional
	source string,
) (*dagger.File, error) {
	kind, name := "--set", set
	if source != "" {
		kind, name = "--source", source
	}
	text, err := m.container().
		WithFile("/in/debian.lock.json", lock).
		WithFile("/in/mangos.toml", definition).
		WithExec([]string{program, "select", "--lock", "/in/debian.lock.json", "--definition", "/in/mangos.toml", kind, name}).
		Stdout(ctx)
	if err != nil {
		return nil, err
	}
	// A new file is known by its content, the output of a step by all that the
	// step had: the whole lock.
	return dag.Directory().WithNewFile("selection.json", text).File("selection.json"), nil
}

// exitGone is the debian program's exit code for a locked file that no mirror has.
const exitGone = 3

// Packages returns the files of a selection, fetched and checked: from the
// mirrors, or, where there is none or one that has dropped a file, from the
// permanent homes. Those have another address with each lock, so they are left
// out of the step that does not need them.
func (m *Debian) Packages(ctx context.Context, selected *dagger.File) (*dagger.Directory, error) {
	fetch := []string{program, "fetch", "--selection", selection, "--cache", "/cache", "--out", packages}
	ctr := m.networked().WithFile(selection, selected)
	if m.Mirrors != nil || m.Locked == nil {
		fetched, err := ctr.WithExec(fetch).Directory(packages).Sync(ctx)
		var failed *dagger.ExecError
		if err == nil || m.Locked == nil || !errors.As(err, &failed) || failed.ExitCode != exitGone {
			return fetched, err
		}
	}
	return ctr.
		WithFile("/in/debian.lock.json", m.Locked).
		WithExec(append(fetch, "--lock", "/in/debian.lock.json")).
		Directory(packages), nil
}

// Rootfs returns the root file system that a selection's packages make.
func (m *Debian) Rootfs(
	ctx context.Context,
	selected *dagger.File,
	// Not empty: makes it again in another world (see modules/sandbox).
	// +optional
	variation string,
) (*dagger.Directory, error) {
	return m.unpack(ctx, "bootstrap", selected, variation)
}

// Extracted returns the tree of a selection's packages, unpacked only.
func (m *Debian) Extracted(
	ctx context.Context,
	selected *dagger.File,
	// Not empty: makes it again in another world (see modules/sandbox).
	// +optional
	variation string,
) (*dagger.Directory, error) {
	return m.unpack(ctx, "extract", selected, variation)
}

func (m *Debian) unpack(ctx context.Context, command string, selected *dagger.File, variation string) (*dagger.Directory, error) {
	fetched, err := m.Packages(ctx, selected)
	if err != nil {
		return nil, err
	}
	ctr := m.container().
		WithFile(selection, selected).
		WithMountedDirectory(packages, fetched).
		WithEnvVariable("MANGOS_VARIATION", variation)
	args := []string{program, command, "--selection", selection, "--packages", packages, "--root", root}
	if command == "bootstrap" {
		args = append(args, "--sandbox", sandbox)
	} else {
		args = append([]string{sandbox, "--"}, args...)
	}
	return ctr.
		WithExec(args, dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory(root), nil
}

// container holds the two programs and nothing else.
func (m *Debian) container() *dagger.Container {
	return dag.Container().
		WithFile(program, m.Program).
		WithFile(sandbox, m.Sandbox).
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
