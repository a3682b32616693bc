// Command record runs a step of a build and writes down what went in and what
// came out: see package attest/record for what the places of files mean.
//
//	record --step NAME --record FILE [--in DIR] [--out DIR] [--container SELECTION]
//	       [--secret PATH]... [--cache PATH]... [--parameter KEY=VALUE]... [-- COMMAND [ARGUMENT]...]
//
// Without a command it names what lies in the output folder. It exits with the
// command's status, or with 125 when there is no record: then the step counts
// as failed, whatever the command did.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/record"
)

// statusNoRecord is the exit status when the recorder itself failed.
const statusNoRecord = 125

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	var failed *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed) && failed.ExitCode() > 0:
		return failed.ExitCode() // the command has said why
	}
	fmt.Fprintf(os.Stderr, "record: %s\n", strings.Map(visible, err.Error()))
	return statusNoRecord
}

// visible keeps what a file's name may hold from acting on a terminal.
func visible(r rune) rune {
	if r == '\n' || strconv.IsPrint(r) {
		return r
	}
	return '?'
}

func newRoot() *cobra.Command {
	var p record.Plan
	var out string
	var parameters []string
	c := &cobra.Command{
		Use:           "record --step NAME --record FILE [-- COMMAND [ARGUMENT]...]",
		Short:         "run a step of a build and write down what went in and what came out",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(c *cobra.Command, args []string) (err error) {
			p.Command = args
			if p.Parameters, err = pairs(parameters); err != nil {
				return err
			}
			if p.SourceDateEpoch, err = epoch(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
				return err
			}
			r, err := record.Run(c.Context(), p, execute)
			if err != nil {
				return err
			}
			data, err := r.Encode()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
				return err
			}
			return os.WriteFile(out, data, 0o644)
		},
	}
	c.CompletionOptions.DisableDefaultCmd = true
	f := c.Flags()
	f.StringVar(&p.Step, "step", "", "`NAME` of the step, as the pipeline has it")
	f.StringVar(&out, "record", "", "`FILE` to write")
	f.StringVar(&p.In, "in", "/in", "`DIR` of the inputs")
	f.StringVar(&p.Out, "out", "/out", "`DIR` of the products")
	f.StringVar(&p.Container, "container", "", "`SELECTION` of the inputs that this container was made from")
	f.StringVar(&p.Status, "status", "/var/lib/dpkg/status", "`FILE` of dpkg's database")
	f.StringArrayVar(&p.Secrets, "secret", nil, "`PATH` where a private key is mounted (repeatable)")
	f.StringArrayVar(&p.Caches, "cache", nil, "`PATH` with content of earlier runs (repeatable)")
	f.StringArrayVar(&parameters, "parameter", nil, "`KEY=VALUE` that the caller chose (repeatable)")
	f.StringVar(&p.MountInfo, "mountinfo", "/proc/self/mountinfo", "`FILE` with the kernel's list of mounts; empty: do not look")
	cobra.CheckErr(errors.Join(c.MarkFlagRequired("step"), c.MarkFlagRequired("record")))
	return c
}

// execute runs the step's command in the recorder's own place.
func execute(ctx context.Context, command []string) error {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	return c.Run()
}

func pairs(values []string) (map[string]string, error) {
	m := map[string]string{}
	for _, v := range values {
		key, value, ok := strings.Cut(v, "=")
		if _, twice := m[key]; !ok || key == "" || twice {
			return nil, fmt.Errorf("--parameter %q: want KEY=VALUE, each key once", v)
		}
		m[key] = value
	}
	return m, nil
}

func epoch(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("SOURCE_DATE_EPOCH is %q: want seconds since 1970", text)
	}
	return n, nil
}
