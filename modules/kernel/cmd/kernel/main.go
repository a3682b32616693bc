// Command kernel configures, compiles, packs, certifies, takes apart and
// compares Linux kernels. See modules/kernel/README.md.
//
// Results go to standard output, everything else to standard error. The exit
// code is 0 when all was well, 1 when something was not, and 2 when the command
// line was wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run executes the command line and returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "kernel: %s; see kernel --help\n", printable(err.Error()))
		return 2
	}
	fmt.Fprintf(os.Stderr, "kernel: %s\n", printable(err.Error()))
	return 1
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// printable escapes what a terminal would act on; lines stay lines.
func printable(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		quoted := strconv.Quote(line)
		if quoted[1:len(quoted)-1] != strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(line) {
			lines[i] = quoted
		}
	}
	return strings.Join(lines, "\n")
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "kernel",
		Short:         "Linux from source, and an organisation's certificate in it",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("no command given")}
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newCheck(), newCompile(), newPack(), newCertify(), newExtract(), newCompare())
	return root
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command or argument %q", args[0])}
	}
	return nil
}

// required marks flags without which a command makes no sense.
func required(command *cobra.Command, names ...string) *cobra.Command {
	run := command.RunE
	command.Args = noArguments
	command.RunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range names {
			if cmd.Flag(name).Value.String() == "" {
				return usageError{fmt.Errorf("--%s is missing", name)}
			}
		}
		return run(cmd, args)
	}
	return command
}
