package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/installer"
	"github.com/mastercard/mangos/runtime/installer/screen"
	"github.com/mastercard/mangos/runtime/network"
	"github.com/mastercard/mangos/runtime/target"
)

func screenCommand(root *string) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "screen",
		Short: "Ask for the disk on the terminal, and install; the last line of output is the result, JSON",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			work := screen.Work{
				List:    func() ([]*target.Disk, error) { return target.List(*root, int64(o.minimum)) },
				Network: func(c network.Config) error { return c.Apply(*root) },
				Prepare: func(ctx context.Context, choices installer.Options) (*installer.Job, error) {
					return installer.Prepare(ctx, *root, choices)
				},
				Run: func(ctx context.Context, j *installer.Job, tell func(install.Progress)) error {
					return j.Run(ctx, tell)
				},
			}
			begin := time.Now()
			outcome, err := screen.Show(cmd.Context(), o.choices(), work, cmd.InOrStdin(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			r := result{Result: "failed", Seconds: time.Since(begin).Round(time.Second).Seconds()}
			r.fetched(outcome.Last)
			switch {
			case outcome.Job != nil:
				r.Result = "installed"
				r.about(outcome.Job)
			case outcome.Err != nil:
				r.Error = outcome.Err.Error()
			default:
				r.Error = "nothing was chosen"
			}
			r.print(cmd.OutOrStdout())
			if outcome.Job == nil {
				return errReported
			}
			return after(string(outcome.End))
		},
	}
	o.screenFlags(cmd.Flags())
	return cmd
}
