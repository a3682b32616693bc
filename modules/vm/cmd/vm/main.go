// Vm boots releases in virtual machines with Secure Boot and a TPM: to look at, or to hold
// them against the scenarios of package scenario.
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errFailed) { // whose rows and count are on the output already
			fmt.Fprintf(os.Stderr, "vm: %v\n", err)
		}
		stop()
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "vm",
		Short:         "boot releases in virtual machines",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	c.CompletionOptions.DisableDefaultCmd = true
	c.AddCommand(testCommand(), runCommand(), listCommand())
	return c
}
