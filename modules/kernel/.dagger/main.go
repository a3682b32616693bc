// Kernel makes Linux from a Debian source package, and puts an organisation's
// certificate into it. Each function is one run of the kernel program.
package main

import (
	"context"

	"dagger/kernel/internal/dagger"
)

type Kernel struct {
	// The kernel program (modules/kernel/cmd/kernel).
	Program *dagger.File
	// The sandbox program (modules/sandbox).
	Sandbox *dagger.File
}

func New(
	// The kernel program, static (modules/kernel/cmd/kernel).
	program *dagger.File,
	// The sandbox program, static (modules/sandbox).
	sandbox *dagger.File,
) *Kernel {
	return &Kernel{Program: program, Sandbox: sandbox}
}

const (
	program = "/usr/bin/kernel"
	sandbox = "/usr/bin/sandbox"
)

// Compiled returns the kernel as the compiler made it.
//
// What it depends on is looked up by content in a volume of kernels compiled
// before: a step that is done again and makes the same tools or sources does
// not compile the kernel again.
func (m *Kernel) Compiled(
	ctx context.Context,
	// The files of the source package linux.
	sources *dagger.Directory,
	// The root file system with the compiler.
	tools *dagger.Directory,
	// The configuration's fragments, *.config.
	// +defaultPath="config"
	fragments *dagger.Directory,
	// Not empty: compiles anew, in another world (see modules/sandbox).
	// +optional
	variation string,
	// Not empty and never given before: compiles anew.
	// +optional
	afresh string,
) (*dagger.Directory, error) {
	ctr := m.confined(dag.Container().WithRootfs(tools)).
		WithMountedDirectory("/sources", sources).
		WithMountedDirectory("/fragments", fragments).
		WithEnvVariable("MANGOS_VARIATION", variation).
		WithEnvVariable("MANGOS_RUN", afresh)
	command := []string{sandbox, "--", program, "compile", "--sources", "/sources", "--fragments", "/fragments", "--out", "/compiled"}
	if variation == "" && afresh == "" {
		digest, err := tools.Digest(ctx)
		if err != nil {
			return nil, err
		}
		ctr = ctr.WithMountedCache("/kernels", dag.CacheVolume("mangos-kernels"))
		command = append(command, "--store", "/kernels", "--tools", digest)
	}
	return ctr.
		WithExec(command, dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/compiled"), nil
}

// Packed returns the kernel that is the same for everybody: vmlinux,
// System.map, bzImage, config, release, and ranges.json, which says which
// bytes a certificate changes.
func (m *Kernel) Packed(
	// What Compiled returns.
	compiled *dagger.Directory,
	// The root file system with zstd.
	tools *dagger.Directory,
) *dagger.Directory {
	return m.confined(dag.Container().WithRootfs(tools)).
		WithMountedDirectory("/compiled", compiled).
		WithExec([]string{sandbox, "--", program, "pack", "--compiled", "/compiled", "--out", "/packed"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/packed")
}

// Unsigned compiles and packs.
func (m *Kernel) Unsigned(
	ctx context.Context,
	// The files of the source package linux.
	sources *dagger.Directory,
	// The root file system with the compiler and zstd.
	tools *dagger.Directory,
	// The configuration's fragments, *.config.
	// +defaultPath="config"
	fragments *dagger.Directory,
	// Not empty: compiles anew, in another world (see modules/sandbox).
	// +optional
	variation string,
	// Not empty and never given before: compiles anew.
	// +optional
	afresh string,
) (*dagger.Directory, error) {
	compiled, err := m.Compiled(ctx, sources, tools, fragments, variation, afresh)
	if err != nil {
		return nil, err
	}
	return m.Packed(compiled, tools), nil
}

// Certified returns the kernel with an organisation's certificate in it.
func (m *Kernel) Certified(
	// What Packed or Unsigned returns.
	packed *dagger.Directory,
	// The certificate, PEM or DER.
	certificate *dagger.File,
) *dagger.Directory {
	return m.confined(dag.Container()).
		WithMountedDirectory("/packed", packed).
		WithMountedFile("/certificate", certificate).
		WithExec([]string{sandbox, "--", program, "certify", "--kernel", "/packed", "--certificate", "/certificate", "--out", "/certified"},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/certified")
}

// CheckCertified compares a certified vmlinux with what the kernel's own tool
// makes of the same certificate: they must be the same, byte for byte.
// +cache="never"
func (m *Kernel) CheckCertified(
	ctx context.Context,
	// What Compiled returns.
	compiled *dagger.Directory,
	// The root file system with openssl.
	tools *dagger.Directory,
	// What Certified returns.
	certified *dagger.Directory,
	// The certificate in PEM.
	certificate *dagger.File,
) error {
	_, err := m.confined(dag.Container().WithRootfs(tools)).
		WithDirectory("/compiled", compiled).
		WithMountedDirectory("/certified", certified).
		WithMountedFile("/certificate", certificate).
		WithExec([]string{sandbox, "--", "sh", "-euc", `
			openssl x509 -in /certificate -outform DER -out /der
			/compiled/insert-sys-cert -s /compiled/System.map -b /compiled/vmlinux -c /der
			cmp /compiled/vmlinux /certified/vmlinux`},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Sync(ctx)
	return err
}

// CheckBoot boots a kernel in QEMU and looks whether it has what its
// configuration is for. It returns what the machine printed.
// +cache="never"
func (m *Kernel) CheckBoot(
	ctx context.Context,
	// The kernel.
	bzImage *dagger.File,
	// The root file system with QEMU, swtpm and the mkfs programs.
	tools *dagger.Directory,
	// The program modules/kernel/cmd/bootcheck, static.
	bootcheck *dagger.File,
	// The program modules/kernel/cmd/probe, static.
	probe *dagger.File,
	// Subject (common name) of the certificate in the kernel.
	// +optional
	certificate string,
) (string, error) {
	return m.confined(dag.Container().WithRootfs(tools)).
		WithFile("/usr/bin/bootcheck", bootcheck).
		WithMountedFile("/probe", probe).
		WithMountedFile("/bzImage", bzImage).
		WithExec([]string{sandbox, "--", "bootcheck", "--bzimage", "/bzImage", "--probe", "/probe", "--certificate", certificate},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Stdout(ctx)
}

// confined puts the programs that each step runs into a container.
func (m *Kernel) confined(ctr *dagger.Container) *dagger.Container {
	return ctr.
		WithFile(program, m.Program).
		WithFile(sandbox, m.Sandbox).
		WithNewFile("/tmp/.keep", "")
}
