// Golang compiles Go programs with the pinned toolchain, in containers that
// hold nothing else: static, and the same bits whoever compiles them.
package main

import (
	"context"
	"strings"

	"dagger/golang/internal/dagger"
)

type Golang struct {
	// The module proxy, in the form of the GOPROXY variable; nil for Go's default.
	// It may hold a password.
	Goproxy *dagger.Secret
}

func New(
	// The module proxy, in the form of the GOPROXY variable. With
	// "?cacheKey=goproxy" it does not matter to what is already built.
	// +optional
	goproxy *dagger.Secret,
) *Golang {
	return &Golang{Goproxy: goproxy}
}

const (
	modules = "/go/pkg/mod"
	volume  = "/modules" // the module cache that outlives a change of go.mod
	objects = "/root/.cache/go-build"
	sandbox = "/in/bootstrap/sandbox"
	traces  = "/trace"
	path    = "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Container returns a container with the toolchain, the modules that the
// source's go.mod and go.sum name, and the source in /src; nothing else unless
// a base is given.
func (m *Golang) Container(
	ctx context.Context,
	source *dagger.Directory,
	// What the container has besides.
	// +optional
	base *dagger.Container,
	// Folders of the source with a go.mod of their own, whose modules are wanted, too.
	// +optional
	nested []string,
) (*dagger.Container, error) {
	tree, err := m.Toolchain(ctx, source.File("go.mod"))
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = dag.Container()
	}
	return m.withGo(base, tree).
		WithDirectory(modules, m.modules(source, nested...)).
		WithEnvVariable("GOPROXY", "off").
		WithDirectory("/src", source).
		WithWorkdir("/src"), nil
}

// Made is what steps made: the files of the last one, and the records of all; of
// those in another world the traces too, in the folder trace.
type Made struct {
	Files   *dagger.Directory
	Records *dagger.Directory
}

// Build compiles programs and returns a folder with each under the last
// element of its package's path. Each is known by its content: a step that has
// one of them is done again when that one changed. The records are of the steps
// toolchain, modules and programs.
func (m *Golang) Build(
	ctx context.Context,
	// The Go module: go.mod, go.sum, and all files of the packages that the programs import.
	source *dagger.Directory,
	// The programs' packages, such as ./modules/sandbox.
	packages []string,
	// A name for a compiler cache of its own. The programs are the same with any.
	// +optional
	cache string,
	// Not empty: compiles anew, without a cache, in another world (see modules/sandbox).
	// +optional
	variation string,
) (*Made, error) {
	tree, err := m.Toolchain(ctx, source.File("go.mod"))
	if err != nil {
		return nil, err
	}
	downloaded := m.modules(source)
	// What the compilations run under is compiled first, and again among them:
	// the record says that it is the same.
	compiler := dag.Container().
		WithNewFile("/tmp/.keep", "").
		WithWorkdir("/in/source").
		WithMountedDirectory("/in/source", source).
		WithMountedDirectory("/in/toolchain.tree", tree).
		WithMountedDirectory("/in/go", downloaded)
	cached := compiler.WithMountedCache(objects, dag.CacheVolume("go-build"+cache))
	bootstrap := withGoSettings(cached).
		WithExec(compile("/bootstrap/", "./modules/sandbox", "./attest/cmd/record")).
		Directory("/bootstrap")
	command := []string{"/in/bootstrap/record", "--step", "programs", "--record", "/record"}
	if variation == "" {
		compiler, command = cached, append(command, "--cache", objects)
	} else {
		compiler = compiler.
			WithEnvVariable("MANGOS_VARIATION", variation).
			WithEnvVariable("MANGOS_TRACE", traces).
			WithDirectory(traces, dag.Directory())
	}
	command = append(command, "--", sandbox, "--in", "/in", "--out", "/out", "--dir", "/in/source")
	command = append(append(append(command, environment...), "--"), compile("/out/program/", packages...)...)
	compiled := compiler.
		WithMountedDirectory("/in/bootstrap", bootstrap).
		WithDirectory("/out", dag.Directory()).
		WithExec(command, dagger.ContainerWithExecOpts{InsecureRootCapabilities: true})
	names := dag.Container().
		WithFile("/bin/record", bootstrap.File("record")).
		WithMountedFile("/in/source/go.mod", source.File("go.mod"))
	programs, err := m.keepFiles(ctx, compiled.Directory("/out/program"))
	if err != nil {
		return nil, err
	}
	records := dag.Directory().
		WithFile("toolchain.json", names.
			WithMountedDirectory("/out/toolchain.tree", tree).
			WithExec([]string{"/bin/record", "--step", "toolchain", "--record", "/record"}).
			File("/record")).
		WithFile("modules.json", names.
			WithMountedFile("/in/source/go.sum", source.File("go.sum")).
			WithMountedDirectory("/out/go", downloaded).
			WithExec([]string{"/bin/record", "--step", "modules", "--record", "/record"}).
			File("/record")).
		WithFile("programs.json", compiled.File("/record"))
	if variation != "" {
		records = records.WithDirectory("trace", compiled.Directory(traces))
	}
	return &Made{Files: programs, Records: records}, nil
}

// environment is that of a compilation, as arguments for the sandbox. The trace of a
// compilation lists what it names: GOROOT is what PATH leads to, as a whole.
var environment = []string{
	"--env", "PATH=/in/toolchain.tree/bin", "--env", "GOROOT=/in/toolchain.tree",
	"--env", "GOPATH=/go", "--env", "GOMODCACHE=/in/go", "--env", "CGO_ENABLED=0",
	"--env", "GOTOOLCHAIN=local", "--env", "GOPROXY=off", "--env", "GOFLAGS=-mod=readonly",
}

// withGoSettings gives a compilation outside of the sandbox its environment.
func withGoSettings(ctr *dagger.Container) *dagger.Container {
	for i := 1; i < len(environment); i += 2 {
		name, value, _ := strings.Cut(environment[i], "=")
		ctr = ctr.WithEnvVariable(name, value)
	}
	return ctr.WithEnvVariable("HOME", "/root")
}

// compile is the command that makes programs whose bits depend on their source
// and the toolchain alone. They have no tables for a debugger, which take as long to
// link as the rest, and lie in each initrd; what a panic prints needs none.
func compile(out string, packages ...string) []string {
	return append([]string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out}, packages...)
}

// modules returns the module cache for the go.mod and go.sum of the source and of
// the nested folders. The downloads go through a volume, which saves most of them
// when a go.mod changes; the result holds a copy, because a volume may be emptied
// at any time.
func (m *Golang) modules(source *dagger.Directory, nested ...string) *dagger.Directory {
	ctr := m.networked()
	for _, folder := range append([]string{"."}, nested...) {
		for _, name := range []string{folder + "/go.mod", folder + "/go.sum"} {
			ctr = ctr.WithFile("/src/"+name, source.File(name))
		}
	}
	ctr = ctr.WithMountedCache(volume, dag.CacheVolume("go-modules"))
	for _, download := range []string{
		"GOMODCACHE=" + volume + " go mod download",
		"GOMODCACHE=" + modules + " GOPROXY=file://" + volume + "/cache/download,$(go env GOPROXY) go mod download",
	} {
		for _, folder := range append([]string{"."}, nested...) {
			ctr = ctr.WithWorkdir("/src/" + folder).WithExec([]string{"sh", "-euc", download})
		}
	}
	return ctr.Directory(modules)
}

// withGo puts the toolchain and its settings into a container.
func (m *Golang) withGo(ctr *dagger.Container, tree *dagger.Directory) *dagger.Container {
	return ctr.
		WithDirectory("/usr/local/go", tree).
		WithNewFile("/tmp/.keep", "").
		WithEnvVariable("PATH", path).
		WithEnvVariable("HOME", "/root").
		WithEnvVariable("GOPATH", "/go").
		WithEnvVariable("GOTOOLCHAIN", "local").
		WithEnvVariable("GOFLAGS", "-mod=readonly").
		WithEnvVariable("CGO_ENABLED", "0")
}
