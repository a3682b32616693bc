// Command attest makes keys, records and signs the evidence of a build, and
// verifies and traces a release. See attest/README.md.
//
// Results go to standard output, everything else to standard error. The exit
// code is 0 when everything that was asked passed, 1 when something did not,
// and 2 when the command line was wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run executes the command line and returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	var u usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &u):
		fmt.Fprintf(os.Stderr, "attest: %s; see attest --help\n", printable(err.Error()))
		return 2
	case errors.Is(err, errFailed):
		return 1 // its report is already out
	}
	fmt.Fprintf(os.Stderr, "attest: %s\n", printable(err.Error()))
	return 1
}

// errFailed ends a command whose own output already says what failed.
var errFailed = errors.New("failed")

// usageError is a mistake in the command line.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "attest",
		Short:         "evidence for a mangos release: keys, statements, SBOM, verification, tracing",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return usageError{errors.New("no command given")}
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newKeys(), newEvidence(), newPolicy(), newVerify(), newVerifyExtension(), newSBOM(), newTrace(), newSources(), newProgramSource(), newExportDigests(), newAttachSignatures())
	usageArgs(root)
	return root
}

// usageArgs makes every command's complaint about its arguments, and about flags
// that are missing or do not go together, a usageError.
func usageArgs(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		for _, err := range []error{check(cmd, args), cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()} {
			if err != nil {
				return usageError{err}
			}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		usageArgs(sub)
	}
}
