package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/partition"
)

func statusCommand(root *string) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say which volumes the TPM opens; status 1 if it does not open all",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := open(cmd.Context(), *root)
			if err != nil {
				return err
			}
			defer m.close()
			states, err := m.check(cmd.Context(), m.disk.Table)
			if err != nil {
				return err
			}
			locked := 0
			for _, s := range states {
				if s.Locked == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%-5s the TPM opens it\n", s.Label)
					continue
				}
				locked++
				fmt.Fprintf(cmd.OutOrStdout(), "%-5s locked. %s\n", s.Label, partition.Explain(s.Locked))
			}
			if locked > 0 || len(states) == 0 {
				return fmt.Errorf("the TPM opens %d of %d volumes", len(states)-locked, len(states))
			}
			return nil
		},
	}
}
