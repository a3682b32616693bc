// Command compare tells whether organisations built the same, and where and
// why they did not.
//
// Results go to standard output, everything else to standard error. The exit
// codes are the same for all verbs; see exit.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/compare/terminal"
)

// memory is what the collector of unused memory works for, in bytes: what is read
// may be larger than any bound, what is kept of it is not.
const memory = 192 << 20

func main() {
	debug.SetMemoryLimit(memory)
	os.Exit(run())
}

// run executes the command line and returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	var e exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		return int(e) // its report is already out
	}
	hint := ""
	// cobra says of a missing flag in text only what kind of error it is.
	if errors.As(err, new(usageError)) || strings.HasPrefix(err.Error(), "required flag") {
		hint = "; see compare --help"
	}
	fmt.Fprintf(os.Stderr, "compare: %s%s\n", terminal.Escape(err.Error()), hint)
	return codeOf(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "compare",
		Short: "tell whether organisations built the same, and where and why not",
		Long: "Tells whether organisations built the same, and where and why they did not.\n\n" +
			"Exit codes: 0 the same, or threshold met without dissent; 1 usage or input;\n" +
			"2 differs; 3 inconclusive; 4 evidence that does not verify; 5 other inputs.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("no command given")}
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(explainVerb(), machineVerb(), publishVerb(), commitVerb(), revealVerb(), resultsVerb(),
		verdictVerb(), reportVerb(), rebuiltVerb(), signedVerb())
	usageArgs(root)
	return root
}

// usageArgs makes every command's complaint about its arguments a usageError.
func usageArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageArgs(sub)
	}
}

// require marks flags that must be given.
func require(c *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		cobra.CheckErr(c.MarkFlagRequired(name))
	}
	return c
}
