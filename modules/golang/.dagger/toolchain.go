package main

import (
	"context"
	_ "embed" // the program that takes the toolchain over
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"dagger/golang/internal/dagger"
)

//go:embed place/main.go
var placeSource []byte

var toolchainLine = regexp.MustCompile(`(?m)^toolchain go([0-9]+\.[0-9]+(?:\.[0-9]+|rc[0-9]+)?)$`)

// Toolchain returns the Go toolchain that a go.mod names, for Linux on amd64,
// as the tree that belongs at /usr/local/go. The go command fetches it as a
// module and checks it against the checksum database.
//
// The way from this module's own container into the pipeline leads through a
// volume: a folder of this container is gone when the call ends, and with it
// every cached result that was made from it.
func (m *Golang) Toolchain(
	ctx context.Context,
	// The go.mod; its "toolchain" line counts.
	gomod *dagger.File,
) (*dagger.Directory, error) {
	text, err := gomod.Contents(ctx)
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	line := toolchainLine.FindStringSubmatch(text)
	if line == nil {
		return nil, fmt.Errorf("read go.mod: it has no line such as \"toolchain go1.26.8\"")
	}
	version := line[1]
	volume := dag.CacheVolume("go-toolchain-" + version)
	if err := m.provide(ctx, version, volume); err != nil {
		return nil, err
	}
	return dag.Container().
		WithMountedCache("/volume", volume).
		WithEnvVariable("TMPDIR", "/").
		WithExec([]string{"/volume/place/place", "/volume/go", "/go"}).
		Directory("/go"), nil
}

// provide makes sure that the volume holds the toolchain and the program place.
func (m *Golang) provide(ctx context.Context, version string, volume *dagger.CacheVolume) error {
	// The time makes the step run: a volume may have been emptied since.
	_, err := dag.Container().
		WithMountedCache("/volume", volume).
		WithEnvVariable("ASKED", time.Now().String()).
		WithExec([]string{"/volume/place/place"}).
		Sync(ctx)
	if err == nil {
		return nil
	}
	if err := fetch(ctx, version, m.Goproxy); err != nil {
		return err
	}
	_, err = dag.Container().
		WithMountedDirectory("/in", dag.CurrentModule().Workdir("toolchain")).
		WithMountedCache("/volume", volume).
		WithEnvVariable("TMPDIR", "/volume").
		WithExec([]string{"/in/place/place", "/in/go", "/volume/go", "/in/place", "/volume/place"}).
		Sync(ctx)
	if err != nil {
		return fmt.Errorf("hand the Go toolchain over: %w", err)
	}
	return nil
}

// fetch puts the toolchain of a version into the folder toolchain/go of this
// module's container, and the program place into toolchain/place.
func fetch(ctx context.Context, version, goproxy string) error {
	module := "golang.org/toolchain@v0.0.1-go" + version + ".linux-amd64"
	cache, err := os.MkdirTemp("", "modcache-")
	if err != nil {
		return fmt.Errorf("fetch %s: %w", module, err)
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = cache
	cmd.Env = append(os.Environ(), "GOFLAGS=-modcacherw", "GOMODCACHE="+cache)
	if goproxy != "" {
		cmd.Env = append(cmd.Env, "GOPROXY="+goproxy)
	}
	out, runErr := cmd.Output()
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return fmt.Errorf("fetch %s: %w", module, errors.Join(runErr, err))
	}
	if runErr != nil || answer.Dir == "" {
		return fmt.Errorf("fetch %s: %s", module, answer.Error)
	}
	if err := restore(answer.Dir); err != nil {
		return fmt.Errorf("unpack %s: %w", module, err)
	}
	if err := os.MkdirAll("toolchain/place", 0o755); err != nil {
		return fmt.Errorf("unpack %s: %w", module, err)
	}
	if err := os.CopyFS("toolchain/go", os.DirFS(answer.Dir)); err != nil {
		return fmt.Errorf("unpack %s: %w", module, err)
	}
	return buildPlace(ctx)
}

// buildPlace compiles the program place with this module's own Go.
func buildPlace(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "place-")
	if err != nil {
		return fmt.Errorf("compile place: %w", err)
	}
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, placeSource, 0o644); err != nil {
		return fmt.Errorf("compile place: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", "toolchain/place/place", file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile place: %w: %s", err, out)
	}
	return nil
}

// restore undoes what a module cannot carry: programs are not executable in
// it, and a go.mod below its top has another name. It leaves out the
// toolchain's own tests, a third of its files.
func restore(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && d.Name() == "testdata":
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		case d.IsDir():
			return nil
		case strings.HasSuffix(rel, "_test.go"):
			return os.Remove(path)
		case d.Name() == "_go.mod":
			return os.Rename(path, filepath.Join(filepath.Dir(path), "go.mod"))
		case strings.HasPrefix(rel, "bin/"), strings.HasPrefix(rel, "pkg/tool/"):
			return os.Chmod(path, 0o755)
		}
		return nil
	})
}
