// Command update (mangos-update) keeps a machine up to date, in the slot that does
// not run; systemd-sysupdate does the writing.
//
//	mangos-update check      is there a newer release, and how large is it?
//	mangos-update apply      brings it into the other slot; the next start tries it
//	mangos-update status     what the slots hold, and what is started next
//	mangos-update rollback   lets the next start take the other version
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

const name = "mangos-update"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		stop()
		os.Exit(1)
	}
}

// options are those of all verbs.
type options struct {
	root string
	json bool
}

func newCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           name,
		Short:         "Keep this machine up to date, in the slot that does not run",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		// Without it cobra takes a verb that does not exist for a wish for help.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	f := cmd.PersistentFlags()
	f.BoolVar(&o.json, "json", false, "print the result as a JSON object")
	f.StringVar(&o.root, "root", "/", "tree to look at")
	if err := f.MarkHidden("root"); err != nil {
		panic(err)
	}
	cmd.AddCommand(checkCommand(&o), applyCommand(&o), statusCommand(&o), rollbackCommand(&o))
	return cmd
}

func printJSON(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}
