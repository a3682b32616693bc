// Package compile runs the script that compiles the kernel, and keeps results.
package compile

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed compile.sh
var compileScript []byte

//go:embed compress.sh
var compressScript []byte

// ErrExists reports an output folder that is there already.
var ErrExists = errors.New("output folder exists")

// Job is one run of the compiler.
type Job struct {
	Sources   string    // folder with the files of the Debian source package linux
	Fragments string    // folder with the configuration's fragments
	Out       string    // folder to make
	Log       io.Writer // gets what the tools print

	// Check is a command that gets the configuration's file as its last
	// argument, before the long part of the work or when the result comes from
	// the store, and stops the work by failing.
	Check []string

	// Store is a folder that keeps results from run to run; empty for none.
	Store string
	// Tools names the machine's tools in the store. The same name stands for
	// the same tools, such as the digest of the tree that they are in.
	Tools string
}

// Run configures the kernel, has the configuration checked, and compiles it.
// The tools are those of the machine. It makes the output folder when
// everything is there, and not before.
//
// A result that the store has is taken from there: it was made from the same
// sources, fragments and scripts, with tools of the same name.
func (j Job) Run(ctx context.Context) error {
	if _, err := os.Lstat(j.Out); err == nil {
		return fmt.Errorf("compile kernel: %w: %s", ErrExists, j.Out)
	}
	partial := j.Out + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	if err := j.fill(ctx, partial); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, j.Out); err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	return nil
}

// fill makes a folder with the result, from the store or with the compiler.
func (j Job) fill(ctx context.Context, folder string) error {
	if j.Store == "" {
		return j.compile(ctx, folder)
	}
	if j.Tools == "" {
		return errors.New("compile kernel: results can be kept under a name of the tools only, and none is given")
	}
	key, err := j.key()
	if err != nil {
		return err
	}
	entry := filepath.Join(j.Store, key)
	switch err := take(entry, folder); {
	case err == nil:
		fmt.Fprintf(j.Log, "kernel: taken from the store: %s\n", key)
		return j.checkStored(ctx, filepath.Join(folder, "config"))
	case errors.Is(err, os.ErrNotExist):
	case errors.Is(err, errDamaged):
		fmt.Fprintf(j.Log, "kernel: %v; compiling again\n", err)
		if err := errors.Join(os.RemoveAll(entry), os.RemoveAll(folder)); err != nil {
			return fmt.Errorf("compile kernel: %w", err)
		}
	default:
		return fmt.Errorf("compile kernel: %w", err)
	}
	if err := j.compile(ctx, folder); err != nil {
		return err
	}
	if err := keep(folder, entry); err != nil {
		return fmt.Errorf("compile kernel: keep the result: %w", err)
	}
	return nil
}

// checkStored has the check look at a result that an earlier one let pass.
func (j Job) checkStored(ctx context.Context, config string) error {
	if len(j.Check) == 0 {
		return nil
	}
	command := exec.CommandContext(ctx, j.Check[0], append(j.Check[1:], config)...)
	command.Stdout, command.Stderr = j.Log, j.Log
	if err := command.Run(); err != nil {
		return fmt.Errorf("compile kernel: check the stored configuration: %w", err)
	}
	return nil
}

// compile runs the script. It calls this program back with the configuration.
func (j Job) compile(ctx context.Context, folder string) error {
	work, err := os.MkdirTemp("", "kernel-")
	if err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	defer os.RemoveAll(work)
	for name, text := range map[string][]byte{"compile.sh": compileScript, "compress.sh": compressScript} {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return fmt.Errorf("compile kernel: %w", err)
		}
	}
	command := exec.CommandContext(ctx, "sh", append([]string{filepath.Join(work, "compile.sh"),
		j.Sources, j.Fragments, filepath.Join(work, "tree"), folder}, j.Check...)...)
	command.Stdout, command.Stderr = j.Log, j.Log
	if err := command.Run(); err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	return nil
}
