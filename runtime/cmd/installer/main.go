// Command installer (mangos-installer) puts a release onto a disk: on the machine
// that was started from the installer's medium, or on an ordinary Linux machine
// with a disk or a file to flash.
//
//	mangos-installer disks     lists disks, and says why one is not to be had
//	mangos-installer install   installs, with all that it needs in flags or in a seed file
//	mangos-installer screen    asks for the disk on a terminal, and installs
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// errReported is wrapped by errors that stand in the result line already.
var errReported = errors.New("not installed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "mangos-installer:", err)
		}
		stop()
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "mangos-installer",
		Short:         "Put a release onto a disk",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	var root string
	cmd.PersistentFlags().StringVar(&root, "root", "/", "tree to look for disks in")
	if err := cmd.PersistentFlags().MarkHidden("root"); err != nil {
		panic(err)
	}
	cmd.AddCommand(disksCommand(&root), installCommand(&root), screenCommand(&root))
	return cmd
}
