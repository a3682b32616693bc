package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/update"
)

func checkCommand(o *options) *cobra.Command {
	var from origin
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether a newer release is there, and how large it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := from.open()
			if err != nil {
				return err
			}
			state, err := update.Read(cmd.Context(), o.root)
			if err != nil {
				return err
			}
			offer, err := src.Look(cmd.Context(), state, time.Now())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), offer)
			}
			fmt.Fprintln(cmd.OutOrStdout(), tell(state, offer))
			if offer.Verdict != update.New {
				return nil
			}
			if err := state.Ready(); err != nil {
				fmt.Fprintln(cmd.OutOrStdout(), "apply would refuse it:", err)
			}
			return nil
		},
	}
	from.flags(cmd.Flags())
	return cmd
}
