// Kernel makes Linux from a locked source package, and puts an organisation's
// certificate into it.
package main

import (
	"context"

	"dagger/kernel/internal/dagger"
)

type Kernel struct{}

const (
	kernel  = "/usr/bin/kernel"
	sandbox = "/usr/bin/sandbox"
)

var root = dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}

// Check configures the kernel and fails when the configuration lost a line of
// its fragments.
func (m *Kernel) Check(
	ctx context.Context,
	// The files of the source package.
	sources *dagger.Directory,
	// The tree of tools, as a root file system.
	tools *dagger.Directory,
	// The folder modules/kernel, with config/*.config and compile/*.sh.
	files *dagger.Directory,
	// The kernel program, static (modules/kernel/cmd/kernel).
	program *dagger.File,
	// The sandbox program, static (modules/sandbox).
	box *dagger.File,
) (string, error) {
	return script(tools, sources, files, box, "", "configure").
		WithFile(kernel, program).
		WithExec([]string{sandbox, "--", kernel, "check", "--fragments", "/in/files/config", "--config", "/out/config"}, root).
		CombinedOutput(ctx)
}

// Compile makes the kernel: vmlinux, System.map, bzImage, config, release. It
// takes a quarter of an hour; so its inputs are what decides the result and
// nothing else, no program of ours but the sandbox.
func (m *Kernel) Compile(
	// The files of the source package.
	sources *dagger.Directory,
	// The tree of tools, as a root file system.
	tools *dagger.Directory,
	// The folder modules/kernel, with config/*.config and compile/*.sh.
	files *dagger.Directory,
	// The sandbox program, static (modules/sandbox).
	box *dagger.File,
	// Not empty: makes it again in another world (see modules/sandbox).
	// +optional
	variation string,
) *dagger.Directory {
	return script(tools, sources, files, box, variation, "build").Directory("/out")
}

// script runs compile.sh; what it makes is in /out.
func script(tools, sources, files *dagger.Directory, box *dagger.File, variation, verb string) *dagger.Container {
	work := "/tmp/kernel"
	if variation != "" {
		work = "/tmp/a-longer-name-of-another-folder"
	}
	return dag.Container().
		WithRootfs(tools).
		WithFile(sandbox, box).
		WithMountedDirectory("/in/sources", sources).
		WithMountedDirectory("/in/files", files).
		WithEnvVariable("MANGOS_VARIATION", variation).
		WithExec([]string{sandbox, "--", "sh", "/in/files/compile/compile.sh", verb, "/in/sources", "/in/files/config", work, "/out"}, root)
}

// Pack makes a compiled kernel ready for certificates, and writes the byte
// ranges down that a certificate may change.
func (m *Kernel) Pack(
	compiled *dagger.Directory,
	// The tree of tools, as a root file system.
	tools *dagger.Directory,
	program *dagger.File,
	box *dagger.File,
) *dagger.Directory {
	return dag.Container().
		WithRootfs(tools).
		WithFile(sandbox, box).
		WithFile(kernel, program).
		WithMountedDirectory("/in/compiled", compiled).
		WithExec([]string{sandbox, "--", kernel, "pack", "--compiled", "/in/compiled", "--out", "/out"}, root).
		Directory("/out")
}

// Certify puts an organisation's certificate into a packed kernel.
func (m *Kernel) Certify(
	packed *dagger.Directory,
	// The certificate, PEM or DER.
	certificate *dagger.File,
	program *dagger.File,
	box *dagger.File,
) *dagger.Directory {
	return dag.Container().
		WithFile(sandbox, box).
		WithFile(kernel, program).
		WithNewFile("/tmp/.keep", "").
		WithMountedDirectory("/in/packed", packed).
		WithMountedFile("/in/certificate", certificate).
		WithExec([]string{sandbox, "--", kernel, "certify", "--kernel", "/in/packed", "--certificate", "/in/certificate", "--out", "/out"}, root).
		Directory("/out")
}
