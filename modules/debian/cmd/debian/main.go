// Command debian locks, fetches and unpacks the packages of an apt archive. See
// the README of modules/debian.
//
// It exits with 0, with 1 and one sentence when something is wrong, and with 3
// when a locked file is gone for good, so that the lock must be made anew.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/debian/fetch"
)

// Exit codes.
const (
	exitFailed = 1
	exitGone   = 3
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command().ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, fetch.ErrGone):
		fmt.Fprintln(os.Stderr, "debian:", err)
		return exitGone
	}
	fmt.Fprintln(os.Stderr, "debian:", err)
	return exitFailed
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "debian",
		Short:         "lock, fetch and unpack the packages of an apt archive",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(lockCommand(), selectCommand(), fetchCommand(), bootstrapCommand(), extractCommand(), sourceCommand(), digestCommand(), homesCommand(), originCommand())
	return root
}
