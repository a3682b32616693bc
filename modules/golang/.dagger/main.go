// Golang compiles Go programs with the pinned toolchain, in containers that
// hold nothing else: static, and the same bits whoever compiles them.
package main

import (
	"context"
	"fmt"
	"strings"

	"dagger/golang/internal/dagger"
)

type Golang struct {
	// The module proxy, in the form of the GOPROXY variable; empty for Go's default.
	Goproxy string
}

func New(
	// The module proxy, in the form of the GOPROXY variable.
	// +optional
	goproxy string,
) *Golang {
	return &Golang{Goproxy: goproxy}
}

const (
	modules = "/go/pkg/mod"
	volume  = "/modules" // the module cache that outlives a change of go.mod
	objects = "/root/.cache/go-build"
	sandbox = "/usr/local/bin/sandbox"
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
) (*dagger.Container, error) {
	tree, err := m.Toolchain(ctx, source.File("go.mod"))
	if err != nil {
		return nil, err
	}
	cache, err := m.modules(ctx, source)
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = dag.Container()
	}
	return m.withGo(base, tree).
		WithDirectory(modules, cache).
		WithEnvVariable("GOPROXY", "off").
		WithDirectory("/src", source).
		WithWorkdir("/src"), nil
}

// Build compiles programs and returns a folder with each under the last
// element of its package's path. Each is known by its content: a step that has
// one of them is done again when that one changed.
func (m *Golang) Build(
	ctx context.Context,
	// The Go module: go.mod, go.sum, and all files of the packages that the programs import.
	source *dagger.Directory,
	// The programs' packages, such as ./modules/sandbox.
	packages []string,
	// A name for a compiler cache of its own. The programs are the same with any.
	// +optional
	cache string,
) (*dagger.Directory, error) {
	ctr, err := m.Container(ctx, source, nil)
	if err != nil {
		return nil, err
	}
	ctr = ctr.
		WithFile(sandbox, m.sandbox(ctr, cache)).
		WithMountedCache(objects, dag.CacheVolume("go-build"+cache))
	confined := []string{sandbox,
		"--env", "PATH=" + path, "--env", "GOPATH=/go", "--env", "CGO_ENABLED=0", "--env", "GOTOOLCHAIN=local",
		"--env", "GOPROXY=off", "--env", "GOFLAGS=-mod=readonly", "--dir", "/src", "--"}
	return m.keepFiles(ctx, ctr.
		WithExec(append(confined, compile("/out/", packages...)...),
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/out"))
}

// Run runs the go command on the source, with network as the step has it, and
// returns what it printed.
func (m *Golang) Run(
	ctx context.Context,
	source *dagger.Directory,
	// The go command's arguments, such as vet ./...
	args []string,
	// What the command needs besides Go.
	// +optional
	base *dagger.Container,
) (string, error) {
	ctr, err := m.Container(ctx, source, base)
	if err != nil {
		return "", err
	}
	return ctr.
		WithMountedCache(objects, dag.CacheVolume("go-build")).
		WithExec(append([]string{"go"}, args...), dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		CombinedOutput(ctx)
}

// compile is the command that makes programs whose bits depend on their source
// and the toolchain alone.
func compile(out string, packages ...string) []string {
	return append([]string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-o", out}, packages...)
}

// sandbox compiles the program that the other compilations run under. The
// compiler runs nothing of the source, and with GOPROXY=off it does not ask
// for modules.
func (m *Golang) sandbox(ctr *dagger.Container, cache string) *dagger.File {
	return ctr.
		WithMountedCache(objects, dag.CacheVolume("go-build"+cache)).
		WithExec(compile("/out/sandbox", "./modules/sandbox")).
		Directory("/out").
		File("sandbox")
}

// modules returns the module cache for the source's go.mod and go.sum. The
// downloads go through a volume, which saves most of them when go.mod changes;
// the result holds a copy, because a volume may be emptied at any time.
func (m *Golang) modules(ctx context.Context, source *dagger.Directory) (*dagger.Directory, error) {
	ctr := m.networked().
		WithFile("/src/go.mod", source.File("go.mod")).
		WithFile("/src/go.sum", source.File("go.sum")).
		WithWorkdir("/src").
		WithMountedCache(volume, dag.CacheVolume("go-modules"))
	proxy, err := ctr.WithExec([]string{"go", "env", "GOPROXY"}).Stdout(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the Go proxy: %w", err)
	}
	download := []string{"go", "mod", "download"}
	return ctr.
		WithEnvVariable("GOMODCACHE", volume).
		WithExec(download).
		WithEnvVariable("GOMODCACHE", modules).
		WithEnvVariable("GOPROXY", "file://"+volume+"/cache/download,"+strings.TrimSpace(proxy)).
		WithExec(download).
		Directory(modules), nil
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
