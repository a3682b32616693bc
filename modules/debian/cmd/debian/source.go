package main

import (
	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/source"
)

func sourceCommand() *cobra.Command {
	var selection, files, out string
	cmd := &cobra.Command{
		Use:   "source",
		Short: "unpack a selected source package with dpkg-source",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sel, err := lock.LoadSelection(selection)
			if err != nil {
				return err
			}
			return source.Unpack(cmd.Context(), sel, files, out, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&selection, "selection", "", "`FILE` of the selection")
	cmd.Flags().StringVar(&files, "packages", "", "`DIR` of the source package's files")
	cmd.Flags().StringVar(&out, "out", "", "`DIR` to unpack into; it must not exist")
	require(cmd, "selection", "packages", "out")
	return cmd
}
