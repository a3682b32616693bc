package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/partition"
)

func resetCommand(root *string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Ask for new, empty volumes at the next start: all data of this machine is lost then",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return errors.New("a factory reset destroys all data of this machine. If that is wanted: mangos-partition reset --yes")
			}
			if err := partition.RequestReset(*root); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The volumes are made anew, with new keys, at the next start.")
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, destroy the data")
	return cmd
}
