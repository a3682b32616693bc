// Package enter runs programs inside a root file system, through the `sandbox`
// program: without network, without the machine's name and environment.
package enter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNoSandbox says that the sandbox program was not found.
var ErrNoSandbox = errors.New("the sandbox program is not there")

// FindSandbox returns the sandbox program: the one named, else the one beside this
// program. PATH is not searched: another program has that name too.
func FindSandbox(name string) (string, error) {
	if name != "" {
		return filepath.Abs(name)
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoSandbox, err)
	}
	beside := filepath.Join(filepath.Dir(self), "sandbox")
	if info, err := os.Stat(beside); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: it is not beside this program; name it with --sandbox", ErrNoSandbox)
	}
	return beside, nil
}

// Root is a root file system to run programs in.
type Root struct {
	// Dir is its folder. It needs the folders proc and dev.
	Dir string
	// Sandbox is the path of the sandbox program.
	Sandbox string
	// Env is what stands in the environment beside the sandbox's own.
	Env []string
}

// maxTail bounds how much of a failed program's output an error quotes.
const maxTail = 4096

// Run runs a program and returns what it printed on its standard output. An error
// quotes the end of that and of what it printed on its standard error.
func (r Root) Run(ctx context.Context, argv ...string) ([]byte, error) {
	args := []string{"--root", r.Dir}
	for _, e := range r.Env {
		args = append(args, "--env", e)
	}
	cmd := exec.CommandContext(ctx, r.Sandbox, append(append(args, "--"), argv...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := startWithoutSync(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		tail := append(out.Bytes(), errs.Bytes()...)
		if len(tail) > maxTail {
			tail = tail[len(tail)-maxTail:]
		}
		return nil, fmt.Errorf("run %s in the tree: %w: %s", argv[0], err, printable(tail))
	}
	return out.Bytes(), nil
}

// printable replaces what could move a terminal's cursor.
func printable(text []byte) string {
	return string(bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || (r >= ' ' && r != 0x7f && r != 0xfffd && (r < 0x80 || r > 0x9f)) {
			return r
		}
		return '?'
	}, text))
}
