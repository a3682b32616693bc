// Package build compiles the Dagger engine and its command line client from
// the Go modules that ci/engine/go.mod names and ci/engine/go.sum pins.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
)

// The programs that Compile makes, by the names of their folders under
// github.com/dagger/dagger/cmd.
const (
	CLI     = "dagger"
	Engine  = "engine"
	Init    = "init"
	DNSName = "dnsname"
	Codegen = "codegen"
)

var versionLine = regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/dagger/dagger (v[0-9]+\.[0-9]+\.[0-9]+)\b`)

var toolchainLine = regexp.MustCompile(`(?m)^toolchain go([0-9]+(?:\.[0-9]+)*)$`)

// Source is the folder ci/engine, read once.
type Source struct {
	Dir       string // the folder
	Version   string // Dagger's version, such as v0.19.7
	Toolchain string // the pinned Go toolchain, such as 1.26.8
	Key       string // changes whenever the programs would
}

// Read takes the versions from dir's go.mod.
func Read(dir string) (Source, error) {
	h := sha256.New()
	// A change of how Compile works must change the key as well.
	fmt.Fprintln(h, "compile 1")
	var mod []byte
	for _, name := range []string{"go.mod", "go.sum", "distconsts/go.mod", "distconsts/distconsts.go"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return Source{}, fmt.Errorf("read the engine's source: %w", err)
		}
		if name == "go.mod" {
			mod = data
		}
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
	}
	version := versionLine.FindSubmatch(mod)
	toolchain := toolchainLine.FindSubmatch(mod)
	if version == nil || toolchain == nil {
		return Source{}, fmt.Errorf("read the engine's source: %s names no version of github.com/dagger/dagger or no toolchain", filepath.Join(dir, "go.mod"))
	}
	return Source{
		Dir:       dir,
		Version:   string(version[1]),
		Toolchain: string(toolchain[1]),
		Key:       hex.EncodeToString(h.Sum(nil))[:16],
	}, nil
}

// Present reports whether the named programs are already in bin. An empty file is what
// a power cut leaves of one.
func Present(bin string, programs ...string) bool {
	for _, p := range programs {
		if info, err := os.Stat(filepath.Join(bin, p)); err != nil || info.Size() == 0 {
			return false
		}
	}
	return true
}

// Compile makes the named programs and puts them into bin, each one complete
// or not at all. The compiler's messages go to log; when it fails, the last of
// them are in the error.
func Compile(ctx context.Context, src Source, bin string, log io.Writer, programs ...string) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return fmt.Errorf("compile the engine: %w", err)
	}
	tmp, err := os.MkdirTemp(bin, ".compile-")
	if err != nil {
		return fmt.Errorf("compile the engine: %w", err)
	}
	defer os.RemoveAll(tmp)

	tag := "github.com/dagger/dagger/engine"
	args := []string{"build", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-ldflags=-s -w -X " + tag + ".Version=" + src.Version + " -X " + tag + ".Tag=" + src.Version,
		"-o", tmp + "/"}
	for _, p := range programs {
		args = append(args, "github.com/dagger/dagger/cmd/"+p)
	}
	if err := Go(ctx, src.Dir, log, args...); err != nil {
		return fmt.Errorf("compile the engine: %w", err)
	}
	for _, p := range programs {
		if err := putInPlace(filepath.Join(tmp, p), filepath.Join(bin, p)); err != nil {
			return fmt.Errorf("compile the engine: %w", err)
		}
	}
	return nil
}

// putInPlace gives a file its name for good, after its bytes are on the disk: a power
// cut must not leave the name alone.
func putInPlace(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Go runs the go command in dir for a static Linux build, independent of the
// caller's GOFLAGS and workspace. Both output streams go to log.
func Go(ctx context.Context, dir string, log io.Writer, args ...string) error {
	tail := &tailWriter{limit: 2000}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=", "GOWORK=off")
	cmd.Stdout = io.MultiWriter(log, tail)
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		var missing *exec.Error
		if errors.As(err, &missing) {
			return fmt.Errorf("go %s: %w", args[0], err)
		}
		return fmt.Errorf("go %s: %w\n%s", args[0], err, tail.data)
	}
	return nil
}

// tailWriter keeps the last limit bytes.
type tailWriter struct {
	limit int
	data  []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - t.limit; over > 0 {
		t.data = append([]byte(nil), t.data[over:]...)
	}
	return len(p), nil
}
