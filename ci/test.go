package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"dagger/mangos/internal/dagger"
)

// Test runs the checks and reports each; the last line is "N passed, N failed".
// It fails when one of them did. Nothing of it is taken from an earlier run but
// what was built.
// +cache="never"
func (m *Mangos) Test(
	ctx context.Context,
	// The whole source, with its tests.
	// +defaultPath="/"
	// +ignore=["**", "!go.mod", "!go.sum", "!mangos.toml", "!debian.lock.json", "!attest/**", "!compare/**", "!format/**", "!modules/**", "!runtime/**", "modules/*/.dagger"]
	tests *dagger.Directory,
	// The virtual machines' scenarios: names with commas between, "short" or "all".
	// +default="short"
	scenarios string,
) (string, error) {
	t := &results{run: time.Now().UTC().Format(time.RFC3339Nano)}
	t.check(ctx, "lint", func(ctx context.Context) (string, error) { return m.lint(ctx, tests, t.run) })
	t.check(ctx, "unit tests", func(ctx context.Context) (string, error) { return m.unitTests(ctx, tests, t.run) })
	t.check(ctx, "build and boot", func(ctx context.Context) (string, error) { return m.boot(ctx, scenarios) })
	return t.close()
}

// lint returns the report of vet and staticcheck.
func (m *Mangos) lint(ctx context.Context, tests *dagger.Directory, run string) (string, error) {
	ctr := m.goTools(tests, nil, run).
		WithExec([]string{"go", "vet", "./..."}).
		WithExec([]string{"go", "tool", "staticcheck", "./..."})
	if _, err := ctr.Sync(ctx); err != nil {
		return "", err
	}
	return "2 passed, 0 failed\n", nil
}

// unitTests returns the report of `go test` over the root Go module.
func (m *Mangos) unitTests(ctx context.Context, tests *dagger.Directory, run string) (string, error) {
	tree, err := m.tools(ctx, "test")
	if err != nil {
		return "", err
	}
	base := dag.Container().WithRootfs(tree).WithFile("/usr/local/bin/gotest", m.program("gotest"))
	return m.goTools(tests, base, run).
		WithExec([]string{"gotest", "./..."}, dagger.ContainerWithExecOpts{
			InsecureRootCapabilities: true, // the sandbox's tests make namespaces
			Expect:                   dagger.ReturnTypeAny,
		}).
		Stdout(ctx)
}

// goTools returns a container with Go and the source, and a compiler cache that
// stays. The run's name makes its steps run.
func (m *Mangos) goTools(tests *dagger.Directory, base *dagger.Container, run string) *dagger.Container {
	return m.golang().Container(tests, dagger.GolangContainerOpts{Base: base}).
		WithMountedCache("/root/.cache", dag.CacheVolume("go-cache")).
		WithEnvVariable("MANGOS_RUN", run)
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
	release, err := m.release(ctx, image, image.TryOut(m.program("attest")), plan, "", nil)
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
	t := &results{}
	t.check(ctx, "machines", func(ctx context.Context) (string, error) {
		return machines.Test(ctx, release, keys, dagger.VMTestOpts{Scenarios: scenarios, Parallel: parallel, Patience: patience})
	})
	return t.close()
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

// results collects the reports of checks.
type results struct {
	run            string
	text           strings.Builder
	passed, failed int
}

var lastLine = regexp.MustCompile(`(?:^|\n)([0-9]+) passed, ([0-9]+) failed\n?$`)

// check runs a check, whose report ends with how many passed and failed. One that
// ends otherwise has failed.
func (t *results) check(ctx context.Context, name string, run func(context.Context) (string, error)) {
	began := time.Now()
	text, err := run(ctx)
	counts := lastLine.FindStringSubmatch(text)
	body := text
	switch {
	case err != nil:
		body, counts = fmt.Sprintf("%s\nFAIL %s: %v\n", text, name, err), []string{"", "0", "1"}
	case counts == nil:
		body, counts = fmt.Sprintf("%s\nFAIL %s: ended without a result\n", text, name), []string{"", "0", "1"}
	}
	passed, _ := strconv.Atoi(counts[1])
	failed, _ := strconv.Atoi(counts[2])
	t.passed += passed
	t.failed += failed
	fmt.Fprintf(&t.text, "== %s (%.0f s)\n%s\n", name, time.Since(began).Seconds(), strings.TrimRight(body, "\n"))
}

// close returns the whole report, as an error when a check failed.
func (t *results) close() (string, error) {
	fmt.Fprintf(&t.text, "%d passed, %d failed\n", t.passed, t.failed)
	if t.failed > 0 || t.passed == 0 {
		return "", fmt.Errorf("checks failed:\n%s", t.text.String())
	}
	return t.text.String(), nil
}
