// Kernel makes Linux from a Debian source package, and puts an organisation's
// certificate into it. Each function is one run of the kernel program. Each
// step leaves a record of what went in and what came out (attest/record), for
// which its files lie in /in and /out under the names that they have in the
// record.
package main

import (
	"context"
	"strings"
	"time"

	"dagger/kernel/internal/dagger"
)

type Kernel struct {
	// The kernel program (modules/kernel/cmd/kernel).
	Program *dagger.File
	// The sandbox program (modules/sandbox).
	Sandbox *dagger.File
	// The record program (attest/cmd/record).
	Record *dagger.File
}

func New(
	// The kernel program, static (modules/kernel/cmd/kernel).
	program *dagger.File,
	// The sandbox program, static (modules/sandbox).
	sandbox *dagger.File,
	// The record program, static (attest/cmd/record).
	record *dagger.File,
) *Kernel {
	return &Kernel{Program: program, Sandbox: sandbox, Record: record}
}

// Made is what steps made: the files of the last one, and the records of all; of
// those in another world the traces too, in the folder trace.
type Made struct {
	Files   *dagger.Directory
	Records *dagger.Directory
}

const (
	programs   = "/in/program/"
	program    = programs + "kernel"
	sandbox    = programs + "sandbox"
	record     = programs + "record"
	selections = "/in/selection/"
	configs    = "/in/source/modules/kernel/config"
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
	// The selection that names them.
	sourcesSelection *dagger.File,
	// The root file system with the compiler.
	tools *dagger.Directory,
	// The selection that it was made from.
	toolsSelection *dagger.File,
	// The configuration's fragments, *.config.
	// +defaultPath="config"
	fragments *dagger.Directory,
	// Not empty: compiles anew, in another world (see modules/sandbox).
	// +optional
	variation string,
	// Not empty and never given before: compiles anew.
	// +optional
	afresh string,
) (*Made, error) {
	ctr, run, err := m.equipped(ctx, "kernel", tools, toolsSelection)
	if err != nil {
		return nil, err
	}
	ctr = ctr.
		WithMountedDirectory("/in/locked", sources).
		WithMountedFile(selections+"source-linux.json", sourcesSelection).
		WithMountedDirectory(configs, fragments).
		WithEnvVariable("MANGOS_RUN", afresh)
	command := []string{program, "compile", "--sources", "/in/locked", "--fragments", configs, "--out", "/out/compiled"}
	if variation == "" && afresh == "" {
		digest, err := tools.Digest(ctx)
		if err != nil {
			return nil, err
		}
		ctr = ctr.WithMountedCache("/kernels", dag.CacheVolume("mangos-kernels"))
		run, command = append(run, "--cache", "/kernels"), append(command, "--store", "/kernels", "--tools", digest)
	}
	return made(ctr, variation, "kernel", "/out/compiled", run, command...), nil
}

// Packed returns the kernel that is the same for everybody: vmlinux,
// System.map, bzImage, config, release, and ranges.json, which says which
// bytes a certificate changes.
func (m *Kernel) Packed(
	ctx context.Context,
	// What Compiled returns.
	compiled *dagger.Directory,
	// The root file system with zstd.
	tools *dagger.Directory,
	// The selection that it was made from.
	toolsSelection *dagger.File,
	// Not empty: packs anew, in another world (see modules/sandbox).
	// +optional
	variation string,
) (*Made, error) {
	ctr, run, err := m.equipped(ctx, "kernel-packed", tools, toolsSelection)
	if err != nil {
		return nil, err
	}
	return made(ctr.WithMountedDirectory("/in/compiled", compiled), variation, "kernel-packed", "/out/kernel", run,
		program, "pack", "--compiled", "/in/compiled", "--out", "/out/kernel"), nil
}

// Unsigned compiles and packs.
func (m *Kernel) Unsigned(
	ctx context.Context,
	// The files of the source package linux.
	sources *dagger.Directory,
	// The selection that names them.
	sourcesSelection *dagger.File,
	// The root file system with the compiler and zstd.
	tools *dagger.Directory,
	// The selection that it was made from.
	toolsSelection *dagger.File,
	// The configuration's fragments, *.config.
	// +defaultPath="config"
	fragments *dagger.Directory,
	// Not empty: compiles anew, in another world (see modules/sandbox).
	// +optional
	variation string,
	// Not empty and never given before: compiles anew.
	// +optional
	afresh string,
) (*Made, error) {
	compiled, err := m.Compiled(ctx, sources, sourcesSelection, tools, toolsSelection, fragments, variation, afresh)
	if err != nil {
		return nil, err
	}
	packed, err := m.Packed(ctx, compiled.Files, tools, toolsSelection, variation)
	if err != nil {
		return nil, err
	}
	return &Made{Files: packed.Files, Records: compiled.Records.WithDirectory("/", packed.Records)}, nil
}

// Certified returns the kernel with an organisation's certificate in it.
func (m *Kernel) Certified(
	// What Packed or Unsigned returns.
	packed *dagger.Directory,
	// The certificate, PEM or DER.
	certificate *dagger.File,
) *Made {
	ctr := m.confined(dag.Container()).
		WithMountedDirectory("/in/kernel", packed).
		WithMountedFile("/in/keys/verity.crt", certificate)
	return made(ctr, "", "certificate", "/out/certified", []string{record, "--step", "certificate", "--record", "/record"},
		program, "certify", "--kernel", "/in/kernel", "--certificate", "/in/keys/verity.crt", "--out", "/out/certified")
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
		With(always).
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
	// The program modules/kernel/cmd/kernelprobe, static.
	probe *dagger.File,
	// Subject (common name) of the certificate in the kernel.
	// +optional
	certificate string,
) (string, error) {
	return m.confined(dag.Container().WithRootfs(tools)).
		WithFile("/usr/bin/bootcheck", bootcheck).
		WithMountedFile("/probe", probe).
		WithMountedFile("/bzImage", bzImage).
		With(always).
		WithExec([]string{sandbox, "--", "bootcheck", "--bzimage", "/bzImage", "--probe", "/probe", "--certificate", certificate},
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Stdout(ctx)
}

// always makes a check run, whatever it found before.
func always(c *dagger.Container) *dagger.Container {
	return c.WithEnvVariable("MANGOS_RUN", time.Now().UTC().Format(time.RFC3339Nano))
}

// confined puts the programs that each step runs into a container.
func (m *Kernel) confined(ctr *dagger.Container) *dagger.Container {
	return ctr.
		WithMountedFile(program, m.Program).
		WithMountedFile(sandbox, m.Sandbox).
		WithMountedFile(record, m.Record).
		WithDirectory("/out", dag.Directory()).
		WithNewFile("/tmp/.keep", "")
}

// equipped is a container with tools, and the beginning of the command that
// runs a step in it.
func (m *Kernel) equipped(ctx context.Context, step string, tools *dagger.Directory, selection *dagger.File) (*dagger.Container, []string, error) {
	file, err := selection.Name(ctx)
	if err != nil {
		return nil, nil, err
	}
	ctr := m.confined(dag.Container().WithRootfs(tools)).WithMountedFile(selections+file, selection)
	return ctr, []string{record, "--step", step, "--record", "/record", "--container", strings.TrimSuffix(file, ".json")}, nil
}

// made runs a step in the sandbox, in another world if a variation is named, and
// returns the folder that it made, and its record.
func made(ctr *dagger.Container, variation, step, folder string, run []string, command ...string) *Made {
	if variation != "" {
		ctr = ctr.
			WithEnvVariable("MANGOS_VARIATION", variation).
			WithEnvVariable("MANGOS_TRACE", "/trace").
			WithDirectory("/trace", dag.Directory())
	}
	run = append(run, "--", sandbox, "--in", "/in", "--out", "/out", "--")
	ctr = ctr.WithExec(append(run, command...), dagger.ContainerWithExecOpts{InsecureRootCapabilities: true})
	records := dag.Directory().WithFile(step+".json", ctr.File("/record"))
	if variation != "" {
		records = records.WithDirectory("trace", ctr.Directory("/trace"))
	}
	return &Made{Files: ctr.Directory(folder), Records: records}
}
