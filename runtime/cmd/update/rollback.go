package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/update"
)

func rollbackCommand(o *options) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Let the next start take the other version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var plan *update.Rollback
			err := update.RollBack(cmd.Context(), o.root, dryRun, func(s *update.State, r *update.Rollback) {
				if plan = r; !o.json {
					explain(cmd, s, r)
				}
			})
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), struct {
					Next    string      `json:"next"`
					Renames [][2]string `json:"renames"`
					DryRun  bool        `json:"dryRun"`
				}{plan.To.Version, append([][2]string{}, plan.Renames...), dryRun})
			}
			if dryRun {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing was done (--dry-run)")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

// explain says what is done, before it is.
func explain(cmd *cobra.Command, s *update.State, r *update.Rollback) {
	out := cmd.OutOrStdout()
	if len(r.Renames) == 0 {
		fmt.Fprintf(out, "the next start takes version %s already (%s), version %s is left as it is\n", r.To.Version, r.To, s.Running)
		return
	}
	for _, n := range r.Renames {
		fmt.Fprintf(out, "rename %s to %s: version %s counts as bad from now on, nothing is deleted\n", filepath.Join(r.Folder, n[0]), n[1], s.Running)
	}
	fmt.Fprintf(out, "the next start takes version %s (%s)\n", r.To.Version, r.To)
}
