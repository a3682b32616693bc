// Package compile runs the script that compiles the kernel, and checks the
// configuration before the long part of it.
//
// The script is a file of its own because it is the input of a step that takes
// a quarter of an hour: the pipeline gives the step the script, the fragments,
// the source package and the tools, and no program that might change.
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

	"github.com/mastercard/mangos/modules/kernel/configuration"
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
}

// Run configures the kernel, checks that the configuration has every line of
// the fragments, and compiles it. The tools are those of the machine. It makes
// the output folder when everything is there, and not before.
func (j Job) Run(ctx context.Context) error {
	options, err := configuration.ReadFolder(j.Fragments)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(j.Out); err == nil {
		return fmt.Errorf("compile kernel: %w: %s", ErrExists, j.Out)
	}
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
	configured := filepath.Join(work, "configured")
	if err := j.script(ctx, work, "configure", configured); err != nil {
		return err
	}
	config, err := os.Open(filepath.Join(configured, "config"))
	if err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	defer config.Close()
	if err := configuration.Check(options, config); err != nil {
		return err
	}
	partial := j.Out + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	if err := j.script(ctx, work, "build", partial); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, j.Out); err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	return nil
}

func (j Job) script(ctx context.Context, work, verb, out string) error {
	command := exec.CommandContext(ctx, "sh", filepath.Join(work, "compile.sh"), verb,
		j.Sources, j.Fragments, filepath.Join(work, "tree"), out)
	command.Stdout, command.Stderr = j.Log, j.Log
	if err := command.Run(); err != nil {
		return fmt.Errorf("compile kernel: %s: %w", verb, err)
	}
	return nil
}
