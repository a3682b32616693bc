package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/update"
)

func applyCommand(o *options) *cobra.Command {
	var from origin
	var with update.Sysupdate
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Bring the newest release into the other slot; the next start tries it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := from.open()
			if err != nil {
				return err
			}
			// Standard output is for the result.
			with.Log = cmd.ErrOrStderr()
			offer, err := update.Apply(cmd.Context(), o.root, src, with, time.Now(), func(s *update.State, found *update.Offer) {
				if !o.json {
					fmt.Fprintln(cmd.OutOrStdout(), tell(s, found))
				}
			})
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), struct {
					*update.Offer
					Applied bool `json:"applied"`
				}{offer, offer.Verdict == update.New})
			}
			if offer.Verdict == update.New {
				fmt.Fprintf(cmd.OutOrStdout(), "version %s is applied; start the machine anew to try it, mangos-update rollback keeps to the other one afterwards\n", offer.Version)
			}
			return nil
		},
	}
	from.flags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&with.Definitions, "definitions", "/usr/lib/sysupdate.d", "folder with systemd-sysupdate's transfers")
	f.StringVar(&with.Program, "sysupdate", "/usr/lib/systemd/systemd-sysupdate", "systemd-sysupdate")
	if err := f.MarkHidden("sysupdate"); err != nil {
		panic(err)
	}
	return cmd
}
