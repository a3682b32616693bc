// Vm boots a release in virtual machines with Secure Boot and a TPM, as it is and
// after an attacker had it, and reports whether it behaved as it must.
package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"dagger/vm/internal/dagger"
)

// Vm holds what runs the machines.
type Vm struct { //nolint:revive // Dagger names it after the module
	// +private
	Tools *dagger.Directory
	// +private
	Programs *dagger.Directory
}

func New(
	// The root file system of the package set "vm".
	tools *dagger.Directory,
	// The programs vm, probe and image, static.
	programs *dagger.Directory,
) *Vm {
	return &Vm{Tools: tools, Programs: programs}
}

// List lists the scenarios and their rows.
func (m *Vm) List(ctx context.Context) (string, error) {
	return m.container().WithExec([]string{"vm", "list"}).Stdout(ctx)
}

// Test holds a release against scenarios and returns the report: a line for each
// row, the last line says how many passed and failed. Rows that fail are no error
// of this function. It boots each time.
// +cache="never"
func (m *Vm) Test(
	ctx context.Context,
	release *dagger.Directory,
	// A volume with the keys that the release is signed with, in its folder "set":
	// try-out keys, as the test extension is signed with them.
	keys *dagger.CacheVolume,
	// Names with commas between, "short" or "all".
	// +default="short"
	scenarios string,
	// Machines at a time.
	// +default=2
	parallel int,
	// Multiplies all deadlines, for a machine that is busy with other things.
	// +default="1"
	patience string,
) (string, error) {
	return m.run(release, keys, scenarios, parallel, patience).Stdout(ctx)
}

// Consoles does what Test does and returns a folder with the report as JSON and
// what each machine wrote to its console.
// +cache="never"
func (m *Vm) Consoles(
	ctx context.Context,
	release *dagger.Directory,
	keys *dagger.CacheVolume,
	// +default="short"
	scenarios string,
	// +default=2
	parallel int,
	// +default="1"
	patience string,
) (*dagger.Directory, error) {
	out := m.run(release, keys, scenarios, parallel, patience).Directory("/out")
	// Without a report nothing was booted.
	if _, err := out.File("report.json").Sync(ctx); err != nil {
		return nil, fmt.Errorf("boot: no report was made: %w", err)
	}
	return out, nil
}

// run boots, whatever was booted before.
func (m *Vm) run(release *dagger.Directory, keys *dagger.CacheVolume, scenarios string, parallel int, patience string) *dagger.Container {
	return m.container().
		WithMountedDirectory("/release", release).
		WithMountedCache("/keys", keys).
		WithEnvVariable("MANGOS_RUN", time.Now().UTC().Format(time.RFC3339Nano)).
		WithExec([]string{"vm", "test", "--release", "/release", "--keys", "/keys/set",
			"--scenarios", scenarios, "--parallel", strconv.Itoa(parallel), "--patience", patience,
			"--json", "/out/report.json", "--logs", "/out"},
			// With root's capabilities a step sees the machine's devices, /dev/kvm among them.
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true, Expect: dagger.ReturnTypeAny})
}

func (m *Vm) container() *dagger.Container {
	return dag.Container().WithRootfs(m.Tools).
		WithDirectory("/usr/bin", m.Programs, dagger.ContainerWithDirectoryOpts{Include: []string{"vm", "probe", "image"}}).
		WithDirectory("/out", dag.Directory())
}
