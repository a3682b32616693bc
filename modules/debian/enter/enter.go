// Package enter runs programs inside a root file system.
package enter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// Root is a root file system to run programs in.
type Root struct {
	// Dir is its folder.
	Dir string
	// Sandbox is the `sandbox` program, which keeps what runs off the network.
	Sandbox string
	// Env is the whole environment.
	Env []string
	// Log, if set, gets what the programs print.
	Log io.Writer
}

// maxTail bounds how much of a failed program's output an error quotes.
const maxTail = 4096

// Run runs a program and returns what it printed on its standard output. An error
// quotes the end of what it printed on either.
func (r Root) Run(ctx context.Context, argv ...string) ([]byte, error) {
	cmd := r.command(ctx, argv)
	var out, both bytes.Buffer
	log := r.Log
	if log == nil {
		log = io.Discard
	}
	cmd.Stdout = io.MultiWriter(&out, &both, log)
	cmd.Stderr = io.MultiWriter(&both, log)
	if err := cmd.Run(); err != nil {
		tail := both.Bytes()
		if len(tail) > maxTail {
			tail = tail[len(tail)-maxTail:]
		}
		return nil, fmt.Errorf("run %s in the tree: %w: %s", argv[0], err, printable(tail))
	}
	return out.Bytes(), nil
}

func (r Root) command(ctx context.Context, argv []string) *exec.Cmd {
	if r.Sandbox == "" {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Path = argv[0]
		cmd.Err = nil
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.Dir, Cloneflags: syscall.CLONE_NEWNET}
		cmd.Dir = "/"
		cmd.Env = r.Env
		return cmd
	}
	args := []string{"--root", r.Dir}
	for _, entry := range r.Env {
		args = append(args, "--env", entry)
	}
	// The caller's environment: it tells the sandbox whether to vary the world.
	return exec.CommandContext(ctx, r.Sandbox, append(append(args, "--"), argv...)...)
}

// ErrNoSandbox says that the sandbox program was not found.
var ErrNoSandbox = errors.New("the sandbox program is not there")

// printable replaces what could move a terminal's cursor.
func printable(text []byte) string {
	return string(bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || (r >= ' ' && r != 0x7f && r != 0xfffd && (r < 0x80 || r > 0x9f)) {
			return r
		}
		return '?'
	}, text))
}
