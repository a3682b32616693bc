package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/compare/boundary"
	"github.com/mastercard/mangos/compare/checklist"
)

func signedVerb() *cobra.Command {
	var folders []string
	c := &cobra.Command{
		Use:   "signed --set FOLDER… ORGANISATION ORGANISATION…",
		Short: "check that what organisations signed differs only where it is declared",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return signed(cmd.Context(), cmd.OutOrStdout(), folders, args)
		},
	}
	c.Flags().StringArrayVar(&folders, "set", nil, "folder with files of the unsigned set; may be repeated")
	return require(c, "set")
}

func signed(ctx context.Context, out io.Writer, folders, organisations []string) error {
	set, err := boundary.Open(folders...)
	if err != nil {
		return fmt.Errorf("signed: %w", err)
	}
	list, err := set.Check(ctx, organisations...)
	if err != nil {
		return fmt.Errorf("signed: %w", err)
	}
	return checked(out, list)
}

// checked prints the rows of a check. It ends with 0 only if all of them hold.
func checked(out io.Writer, list *checklist.List) error {
	if err := list.Write(out); err != nil {
		return err
	}
	if !list.OK() {
		return exit(exitDiffers)
	}
	return nil
}
