package main

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"time"

	"dagger/mangos/internal/dagger"
)

// CheckReproducible builds everything but the kernel a second time, the tools that make
// images among it, with other paths, user, time, time zone, locale, umask and number of
// processors and without any cache, and reports for each file whether it is the same
// and whether it was really made again. Then it signs what was made again with a second
// set of keys, in that other world but for the kernel's certificate, and reports whether
// what differs lies where unsigned.json says. The last line is "N passed, N failed"; it
// fails when something did.
// +cache="never"
func (m *Mangos) CheckReproducible(
	ctx context.Context,
	// Build the kernel a second time too: a full run, which takes as long as the
	// kernel does on one processor.
	// +optional
	kernel bool,
) (string, error) {
	r := &results{}
	r.make(ctx, m.reproducibleChecks(kernel))
	return m.tally(ctx, r, "")
}

func (m *Mangos) reproducibleChecks(kernel bool) []check {
	// The second build's name is new each time, and in the cache key of each of its steps:
	// a step that is served from a cache has another build's trace.
	build := rand.Text()
	return []check{
		{"second build", func(ctx context.Context) (string, error) { return m.secondBuild(ctx, build, kernel) }},
		{"second set of keys", func(ctx context.Context) (string, error) { return m.secondKeys(ctx, build, kernel) }},
	}
}

// secondBuild returns the report on a second build.
func (m *Mangos) secondBuild(ctx context.Context, build string, kernel bool) (string, error) {
	since := time.Now().UTC().Format(time.RFC3339Nano)
	linux, unsigned, err := m.firstBuild(ctx)
	if err != nil {
		return "", err
	}
	first := dag.Directory().
		WithDirectory("program", m.Programs()).
		WithDirectory("unsigned", unsigned.Files()).
		WithDirectory("update", unsigned.Updates())

	programs := m.builtIn(build)
	traces := programs.Records().Directory("trace")
	second := dag.Directory().WithDirectory("program", programs.Files())
	// What a second build is given: the locked packages and what says which they
	// are, this repository, the Go toolchain and the modules, which are as the checksum
	// database has them, and the kernel, unless that is built again.
	given := []string{
		"--given", "/in/locked", "--given", "/in/selection", "--given", "/in/source",
		"--given", "/in/toolchain.tree", "--given", "/in/go",
	}
	linuxAgain, again, err := m.builtAgain(ctx, build, kernel)
	if err != nil {
		return "", err
	}
	if kernel {
		first = first.WithDirectory("kernel", linux.Files())
		second = second.WithDirectory("kernel", linuxAgain.Files())
		traces = traces.WithDirectory("/", linuxAgain.Records().Directory("trace"))
	} else {
		given = append(given, "--given", "/in/kernel")
	}
	trees, err := m.treeTraces(ctx, build)
	if err != nil {
		return "", err
	}
	folders, tools, err := m.secondTools(ctx, build, kernel)
	if err != nil {
		return "", err
	}
	_, plan, err := m.image(ctx, "", build)
	if err != nil {
		return "", err
	}
	// Each has steps that keep one processor busy.
	if err := sideBySide(ctx, programs.Files(), again.Files()); err != nil {
		return "", err
	}
	second = second.WithDirectory("unsigned", again.Files()).WithDirectory("update", again.Updates())
	traces = traces.
		WithDirectory("/", trees).
		WithDirectory("/", tools).
		WithDirectory("/", plan.records.Directory("trace")).
		WithDirectory("/", again.Records().Directory("trace"))
	folders["/first"], folders["/second"], folders["/trace"] = first, second, traces
	return m.compare(append([]string{"rebuilt", "--build", build, "--since", since, "--trace", "/trace", "--first", "/first", "--second", "/second"}, given...),
		folders).CombinedOutput(ctx)
}

// firstBuild returns the kernel and the unsigned set as they are in a release.
func (m *Mangos) firstBuild(ctx context.Context) (*dagger.KernelMade, *dagger.ImageCommon, error) {
	linux, err := m.compiled(ctx, "", "")
	if err != nil {
		return nil, nil, err
	}
	unsigned, err := m.common(ctx, linux.Files(), "", "")
	return linux, unsigned, err
}

// builtAgain returns the second build's unsigned set and its kernel, which is the first
// build's unless that is built again.
func (m *Mangos) builtAgain(ctx context.Context, build string, kernel bool) (*dagger.KernelMade, *dagger.ImageCommon, error) {
	variation := ""
	if kernel {
		variation = build
	}
	linux, err := m.compiled(ctx, variation, "")
	if err != nil {
		return nil, nil, err
	}
	unsigned, err := m.common(ctx, linux.Files(), "", build)
	return linux, unsigned, err
}

// secondTools returns the trees of tools that the first build used and that the second
// one makes and uses, in their places for the comparison, and the second ones' traces.
func (m *Mangos) secondTools(ctx context.Context, build string, kernel bool) (
	folders map[string]*dagger.Directory, traces *dagger.Directory, err error,
) {
	sets := []string{"imagetools"}
	if kernel {
		sets = append(sets, "build")
	}
	folders, traces = map[string]*dagger.Directory{}, dag.Directory()
	for _, set := range sets {
		first, err := m.toolTree(ctx, set, "")
		if err != nil {
			return nil, nil, err
		}
		second, err := m.toolTree(ctx, set, build)
		if err != nil {
			return nil, nil, err
		}
		place := "/tools/" + set + ".tree"
		folders["/first"+place], folders["/second"+place] = first.Files(), second.Files()
		traces = traces.WithDirectory("/", second.Records().Directory("trace"))
	}
	return folders, traces, nil
}

// sideBySide makes folders at the same time.
func sideBySide(ctx context.Context, folders ...*dagger.Directory) error {
	made := make(chan error)
	for _, folder := range folders {
		go func() {
			_, err := folder.Sync(ctx)
			made <- err
		}()
	}
	var errs []error
	for range folders {
		errs = append(errs, <-made)
	}
	return errors.Join(errs...)
}

// treeTraces returns the traces of the steps that made trees of packages.
func (m *Mangos) treeTraces(ctx context.Context, build string) (*dagger.Directory, error) {
	root, err := m.tree(ctx, "root", build)
	if err != nil {
		return nil, err
	}
	traces := root.Records().Directory("trace")
	for _, set := range []string{"initrd", "microcode"} {
		tree, err := m.unpacked(ctx, set, build)
		if err != nil {
			return nil, err
		}
		traces = traces.WithDirectory("/", tree.Records().Directory("trace"))
	}
	return traces, nil
}

// secondKeys returns the report on what two sets of keys sign: the try-out keys the first
// build, and others that are made and kept in the same way the second, in its world.
func (m *Mangos) secondKeys(ctx context.Context, build string, kernel bool) (string, error) {
	linux, unsigned, err := m.firstBuild(ctx)
	if err != nil {
		return "", err
	}
	linuxAgain, again, err := m.builtAgain(ctx, build, kernel)
	if err != nil {
		return "", err
	}
	folders := map[string]*dagger.Directory{"/set/unsigned": unsigned.Files(), "/set/kernel": linux.Files()}
	for _, x := range []struct {
		folder, set, variation string
		linux, unsigned        *dagger.Directory
	}{
		{"/first", "", "", linux.Files(), unsigned.Files()},
		{"/second", "-second", build, linuxAgain.Files(), again.Files()},
	} {
		image, plan, err := m.image(ctx, "", x.variation)
		if err != nil {
			return "", err
		}
		signer := image.TryOut(m.program("attest"), dagger.ImageTryOutOpts{Set: x.set})
		certified := m.linux().Certified(x.linux, signer.Certificate("verity.crt")).Files()
		files := signer.Files(x.unsigned, certified.File("bzImage"), plan.text).Files()
		folders[x.folder] = certified.WithDirectory("/", files)
	}
	return m.compare([]string{"signed", "--set", "/set/unsigned", "--set", "/set/kernel", "/first", "/second"}, folders).CombinedOutput(ctx)
}

// compare is a container that has run the compare program on folders, whatever it
// found.
func (m *Mangos) compare(args []string, folders map[string]*dagger.Directory) *dagger.Container {
	ctr := dag.Container().WithMountedFile("/bin/compare", m.program("compare")).WithNewFile("/tmp/.keep", "")
	for _, place := range slices.Sorted(maps.Keys(folders)) {
		ctr = ctr.WithMountedDirectory(place, folders[place])
	}
	return ctr.
		WithEnvVariable("MANGOS_RUN", rand.Text()).
		WithExec(append([]string{"/bin/compare"}, args...), dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny})
}
