// Command partition (mangos-partition) lays out the disk of a machine that starts
// for the first time, and keeps its encrypted volumes sealed to the TPM.
//
//	mangos-partition boot     in the initrd: makes what is missing, and looks at what is there
//	mangos-partition status   says which volumes the TPM opens
//	mangos-partition reseal   seals the volumes to the machine's present state
//	mangos-partition reset    asks for new, empty volumes at the next start
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/console"
)

// errReported is wrapped by errors that stand on the consoles already.
var errReported = errors.New("see above")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "mangos-partition:", err)
		}
		stop()
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "mangos-partition",
		Short:         "Lay out the disk, and keep its volumes sealed to the TPM",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	var root string
	cmd.PersistentFlags().StringVar(&root, "root", "/", "tree to look at")
	if err := cmd.PersistentFlags().MarkHidden("root"); err != nil {
		panic(err)
	}
	cmd.AddCommand(bootCommand(&root), statusCommand(&root), resealCommand(&root), resetCommand(&root))
	return cmd
}

// refuse says on every console why the machine must not go on.
func refuse(say *console.Console, word string, err error) error {
	say.Say(console.Warning, "refused [%s]: %v", word, err)
	return errReported
}
