package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"dagger/mangos/internal/dagger"
)

// Test runs the checks and reports each; the last line is "N passed, N failed". It
// fails when one of them did, or when nothing was checked. Nothing of it is taken
// from an earlier run but what was built.
//
// With another lock than the source's (--lock), which ci/dagger gives it when a
// locked file is gone, the last line goes on: ", lock refreshed".
// +cache="never"
func (m *Mangos) Test(
	ctx context.Context,
	// The whole source, with its tests.
	// +defaultPath="/"
	// +ignore=["**", "!go.mod", "!go.sum", "!dagger.json", "!mangos.toml", "!debian.lock.json", "!debian.sources.json", "!attest/**", "!ci/**", "!compare/**", "!format/**", "!modules/**", "!runtime/**", "**/dagger.gen.go", "ci/internal", "modules/*/.dagger/internal"]
	tests *dagger.Directory,
	// The checks to make, with commas between. A full run has "evidence-all" in the place
	// of "evidence": all that is tried on a small release is tried on the real one, too.
	// +default="lint,unit,reproducible,keys,evidence,kernel,boot"
	checks string,
	// The virtual machines' scenarios: names with commas between, "short" or "all".
	// +default="short"
	scenarios string,
) (string, error) {
	wanted := strings.Split(checks, ",")
	for _, name := range wanted {
		if !slices.Contains(allChecks, name) {
			return "", fmt.Errorf("test: there is no check %q: want %s", name, strings.Join(allChecks, ", "))
		}
	}
	r := &results{}
	if err := m.fetch(ctx); err != nil {
		// ci/dagger refreshes the lock when a call ends with this code.
		var step *dagger.ExecError
		if errors.As(err, &step) && step.ExitCode == exitGone {
			return "", err
		}
		r.checks = append(r.checks, result{Name: "locked files", Error: reason(err)})
		return m.tally(ctx, r, "")
	}
	lanes, last := m.checks(tests, wanted, scenarios)
	r.make(ctx, lanes...)
	r.make(ctx, last)
	note, err := m.lockNote(ctx, tests.File("debian.lock.json"))
	if err != nil {
		return "", err
	}
	return m.tally(ctx, r, note)
}

// allChecks are the checks by their names, in the order in which they are reported.
var allChecks = []string{"lint", "unit", "reproducible", "keys", "evidence", "evidence-all", "kernel", "boot"}

// checks returns those that are wanted: lanes of some that may be made side by side, and
// what comes after them by itself. Virtual machines have deadlines.
func (m *Mangos) checks(tests *dagger.Directory, wanted []string, scenarios string) (lanes [][]check, last []check) {
	run := time.Now().UTC().Format(time.RFC3339Nano)
	named := map[string][]check{
		"lint": {{"lint", func(ctx context.Context) (string, error) { return m.lint(ctx, tests, run) }}},
		"kernel": {
			{"kernel, booted", m.bootKernel},
			{"kernel, with certificate", m.certifyKernel},
		},
		"reproducible": m.reproducibleChecks(false),
		"keys":         {{"an organisation's keys", m.keyedBuild}},
		"evidence":     {{"evidence", func(ctx context.Context) (string, error) { return m.evidence(ctx, tests, run, "short") }}},
		"evidence-all": {{"evidence, all rows", func(ctx context.Context) (string, error) { return m.evidence(ctx, tests, run, "all") }}},
		"boot":         {{"build and boot", func(ctx context.Context) (string, error) { return m.boot(ctx, scenarios) }}},
	}
	for _, module := range goModules {
		named["unit"] = append(named["unit"], check{"unit tests of " + module, func(ctx context.Context) (string, error) {
			return m.unitTests(ctx, tests, module, run)
		}})
	}
	chosen := func(names ...string) (lane []check) {
		for _, name := range names {
			if slices.Contains(wanted, name) {
				lane = append(lane, named[name]...)
			}
		}
		return lane
	}
	return [][]check{chosen("lint", "unit"), chosen("reproducible", "keys", "evidence", "evidence-all")}, chosen("kernel", "boot")
}

// linter is the folder of the program that holds the Go modules against the rules.
const linter = "modules/golang/lint"

// goModules are the folders of the Go modules with tests; Dagger's modules have none.
var goModules = []string{".", "ci/bench", "ci/launcher", linter}

// nestedModules are those below the first that need other modules.
var nestedModules = []string{"ci/launcher", linter}

// exitGone is the debian program's exit code for a locked file that no mirror has.
const exitGone = 3

// fetch makes sure that all locked files that the checks need can be had. An error
// has the exit code of the program that fetches: 3 when one of them is gone.
func (m *Mangos) fetch(ctx context.Context) error {
	for _, name := range []string{"build", "imagetools", "initrd", "microcode", "root", "test", "vm", "source-linux"} {
		selection, err := m.selection(ctx, name)
		if err != nil {
			return err
		}
		if _, err := m.debian().Packages(selection).Files().Sync(ctx); err != nil {
			return err
		}
	}
	// The indexes age as the packages do, and without them no release verifies.
	_, err := m.origin("checks").Files().Sync(ctx)
	return err
}

// lockNote says that the lock is another one than the source's, or nothing.
func (m *Mangos) lockNote(ctx context.Context, committed *dagger.File) (string, error) {
	want, err := committed.Contents(ctx)
	if err != nil {
		return "", fmt.Errorf("read the source's lock: %w", err)
	}
	have, err := m.Locked.Contents(ctx)
	if err != nil {
		return "", fmt.Errorf("read the lock: %w", err)
	}
	if have != want {
		return "lock refreshed", nil
	}
	return "", nil
}

// lint returns the report of vet, gofmt and the analyzers over all Go modules, with what
// Dagger generates for its own.
func (m *Mangos) lint(ctx context.Context, tests *dagger.Directory, run string) (string, error) {
	const program = "/usr/local/bin/lint"
	whole, nested := tests, slices.Clone(nestedModules)
	for _, module := range daggerModules {
		source := tests.AsModuleSource(dagger.DirectoryAsModuleSourceOpts{SourceRootPath: module.root})
		whole, nested = whole.WithDirectory("/", source.GeneratedContextDirectory()), append(nested, module.code)
	}
	return m.goTools(whole, nil, nested, run).
		WithExec([]string{"go", "build", "-C", linter, "-o", program, "."}).
		WithExec([]string{program, "--whole"}, dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny}).
		Stdout(ctx)
}

// daggerModules are Dagger's modules: the folders of dagger.json, and of their code.
var daggerModules = []struct{ root, code string }{
	{".", "ci"},
	{"modules/debian", "modules/debian/.dagger"},
	{"modules/golang", "modules/golang/.dagger"},
	{"modules/image", "modules/image/.dagger"},
	{"modules/kernel", "modules/kernel/.dagger"},
	{"modules/vm", "modules/vm/.dagger"},
}

// unitTests returns the report of `go test` over one Go module.
func (m *Mangos) unitTests(ctx context.Context, tests *dagger.Directory, module, run string) (string, error) {
	base, err := m.testTools(ctx)
	if err != nil {
		return "", err
	}
	// The launcher's tests have stand-ins for what its engine runs, and want them
	// where the real ones would be.
	for _, file := range []string{
		"/usr/lib/cni/bridge", "/usr/lib/cni/firewall", "/usr/lib/cni/host-local", "/usr/lib/cni/loopback",
		"/usr/sbin/dnsmasq", "/usr/sbin/iptables", "/usr/sbin/runc", "/usr/sbin/update-ca-certificates",
	} {
		base = base.WithNewFile(file, "")
	}
	return m.goTools(tests, base, nestedModules, run).
		WithWorkdir("/src/"+module).
		WithExec([]string{"gotest", "-count=1", "-tags", "oracle", "./..."}, dagger.ContainerWithExecOpts{
			InsecureRootCapabilities: true, // tests of the sandbox and the launcher make namespaces
			Expect:                   dagger.ReturnTypeAny,
		}).
		Stdout(ctx)
}

// testTools returns a container with what tests hold our own results against.
func (m *Mangos) testTools(ctx context.Context) (*dagger.Container, error) {
	tree, err := m.tools(ctx, "test")
	if err != nil {
		return nil, err
	}
	return dag.Container().WithRootfs(tree).WithFile("/usr/local/bin/gotest", m.program("gotest")), nil
}

// evidence returns the report of the tests that take a whole release: that it verifies,
// that other people's tools agree, that whatever is changed in it is found, that its
// files can be traced, and that its bill of materials has the form of SPDX. Rows are "all", or "short" for one of each check.
func (m *Mangos) evidence(ctx context.Context, tests *dagger.Directory, run, rows string) (string, error) {
	_, release, keys, err := m.machines(ctx)
	if err != nil {
		return "", err
	}
	base, err := m.testTools(ctx)
	if err != nil {
		return "", err
	}
	return m.goTools(tests, base, nestedModules, run).
		WithMountedDirectory("/release", release).
		WithMountedCache("/keys", keys).
		WithEnvVariable("MANGOS_RELEASE", "/release").
		WithEnvVariable("MANGOS_KEYS", "/keys/set").
		WithEnvVariable("MANGOS_EVIDENCE", rows).
		// Each row of the tables verifies a whole release.
		WithExec([]string{"gotest", "-count=1", "-timeout=30m", "-tags", "oracle", "./attest/verify", "./attest/trace", "./attest/sbom"}, dagger.ContainerWithExecOpts{
			InsecureRootCapabilities: true, // some tools mount
			Expect:                   dagger.ReturnTypeAny,
		}).
		Stdout(ctx)
}

// goTools returns a container with Go and the source, the modules that it and nested
// folders name, and a compiler cache that stays. The run's name makes its steps run.
func (m *Mangos) goTools(tests *dagger.Directory, base *dagger.Container, nested []string, run string) *dagger.Container {
	return m.golang().
		Container(tests, dagger.GolangContainerOpts{Base: base, Nested: nested}).
		WithMountedCache("/root/.cache", dag.CacheVolume("go-cache")).
		WithEnvVariable("MANGOS_RUN", run)
}

// probed is the last line of the program that looks at a kernel from inside.
var probed = regexp.MustCompile(`(?m)^probe: ([1-9][0-9]* passed, [0-9]+ failed)\s*$`)

// bootKernel boots the kernel by itself and looks whether it has what its
// configuration is for.
func (m *Mangos) bootKernel(ctx context.Context) (string, error) {
	kernel, err := m.compiled(ctx, "", "")
	if err != nil {
		return "", err
	}
	tools, err := m.tools(ctx, "vm")
	if err != nil {
		return "", err
	}
	console, err := m.linux().CheckBoot(ctx, kernel.Files().File("bzImage"), tools, m.program("bootcheck"), m.program("kernelprobe"))
	if err != nil {
		return "", err
	}
	count := probed.FindStringSubmatch(console)
	if count == nil {
		return "", errors.New("the kernel's console has no result")
	}
	return console + "\n" + count[1] + "\n", nil
}

// certifyKernel holds the kernel with the try-out certificate in it against what the
// kernel's own tool makes of the same certificate.
func (m *Mangos) certifyKernel(ctx context.Context) (string, error) {
	x, err := m.kernelInputs(ctx, "")
	if err != nil {
		return "", err
	}
	packed, err := m.compiled(ctx, "", "")
	if err != nil {
		return "", err
	}
	image, _, err := m.image(ctx, "", "")
	if err != nil {
		return "", err
	}
	certificate := image.TryOut(m.program("attest")).Certificate("verity.crt")
	compiled := m.linux().Compiled(x.sources, x.sourcesSelection, x.tools, x.toolsSelection,
		dagger.KernelCompiledOpts{Fragments: m.kept(m.Fragments)})
	certified := m.linux().Certified(packed.Files(), certificate)
	if err := m.linux().CheckCertified(ctx, compiled.Files(), x.tools, certified.Files(), certificate); err != nil {
		return "", err
	}
	return "1 passed, 0 failed\n", nil
}

// boot builds the image and holds it against the scenarios.
func (m *Mangos) boot(ctx context.Context, scenarios string) (string, error) {
	machines, release, keys, err := m.machines(ctx)
	if err != nil {
		return "", err
	}
	return machines.Test(ctx, release, keys, dagger.VMTestOpts{Scenarios: scenarios})
}

// machines returns what boots releases, a release, and the try-out keys that it is
// signed with.
func (m *Mangos) machines(ctx context.Context) (*dagger.VM, *dagger.Directory, *dagger.CacheVolume, error) {
	image, plan, err := m.image(ctx, "", "")
	if err != nil {
		return nil, nil, nil, err
	}
	release, err := m.release(ctx, image.TryOut(m.program("attest")), plan, "", configuration{})
	if err != nil {
		return nil, nil, nil, err
	}
	tools, err := m.tools(ctx, "vm")
	if err != nil {
		return nil, nil, nil, err
	}
	return dag.VM(tools, m.Programs()), release, image.TryOutVolume(), nil
}

// TestMachines boots the image in virtual machines, holds it against scenarios, and
// reports each row. It is a full run with scenarios "all"; some scenarios by their
// names are a shard of one.
// +cache="never"
func (m *Mangos) TestMachines(
	ctx context.Context,
	// Names with commas between, "short" or "all" (see machine-scenarios).
	// +default="short"
	scenarios string,
	// Machines at a time.
	// +default=2
	parallel int,
	// Multiplies all deadlines, for a machine that is busy with other things.
	// +default="1"
	patience string,
) (string, error) {
	machines, release, keys, err := m.machines(ctx)
	if err != nil {
		return "", err
	}
	r := &results{}
	r.make(ctx, []check{{"machines", func(ctx context.Context) (string, error) {
		return machines.Test(ctx, release, keys, dagger.VMTestOpts{Scenarios: scenarios, Parallel: parallel, Patience: patience})
	}}})
	return m.tally(ctx, r, "")
}

// MachineConsoles does what test-machines does and returns the report (report.json)
// and what each machine wrote to its console, whatever the verdict.
// +cache="never"
func (m *Mangos) MachineConsoles(
	ctx context.Context,
	// Names with commas between, "short" or "all" (see machine-scenarios).
	// +default="short"
	scenarios string,
) (*dagger.Directory, error) {
	machines, release, keys, err := m.machines(ctx)
	if err != nil {
		return nil, err
	}
	return machines.Consoles(release, keys, dagger.VMConsolesOpts{Scenarios: scenarios}), nil
}

// MachineScenarios lists the scenarios that the image is held against, their rows, and
// how long each takes.
func (m *Mangos) MachineScenarios(ctx context.Context) (string, error) {
	tools, err := m.tools(ctx, "vm")
	if err != nil {
		return "", err
	}
	return dag.VM(tools, m.Programs()).List(ctx)
}
