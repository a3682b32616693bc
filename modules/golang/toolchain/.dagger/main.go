// Toolchain fetches a Go toolchain. It is a module of its own because only a
// call from another module is cached, and fetching one takes a quarter of a
// minute.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"dagger/toolchain/internal/dagger"
)

type Toolchain struct{}

var versionFormat = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+|rc[0-9]+)?$`)

// Tree returns the toolchain of a version, such as 1.26.8, for Linux on amd64:
// the folder that belongs at /usr/local/go. The go command fetches it as a
// module and checks it against the checksum database.
func (t *Toolchain) Tree(
	ctx context.Context,
	version string,
	// The module proxy, in the form of the GOPROXY variable.
	// +optional
	goproxy string,
) (*dagger.Directory, error) {
	if !versionFormat.MatchString(version) {
		return nil, fmt.Errorf("fetch the Go toolchain: %q is no version such as 1.26.8", version)
	}
	module := "golang.org/toolchain@v0.0.1-go" + version + ".linux-amd64"
	cache, err := os.MkdirTemp("", "modcache-")
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", module, err)
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
		return nil, fmt.Errorf("fetch %s: %w", module, errors.Join(runErr, err))
	}
	if runErr != nil || answer.Dir == "" {
		return nil, fmt.Errorf("fetch %s: %s", module, answer.Error)
	}
	if err := restore(answer.Dir); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", module, err)
	}
	if err := os.Rename(answer.Dir, "go"); err != nil {
		if err := os.CopyFS("go", os.DirFS(answer.Dir)); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", module, err)
		}
	}
	return dag.CurrentModule().Workdir("go"), nil
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
