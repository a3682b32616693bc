package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/target"
)

func disksCommand(root *string) *cobra.Command {
	var minimum sizeFlag
	cmd := &cobra.Command{
		Use:   "disks",
		Short: "List disks, what is on them, and why one is not to be had",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := target.List(*root, int64(minimum))
			if err != nil {
				return err
			}
			for _, d := range all {
				fmt.Fprintln(cmd.OutOrStdout(), d)
				for _, line := range details(d) {
					fmt.Fprintln(cmd.OutOrStdout(), "    "+line)
				}
			}
			return nil
		},
	}
	cmd.Flags().Var(&minimum, "minimum", "least size of a target, with a suffix K, M or G")
	return cmd
}

// details says what a person needs to know before choosing a disk.
func details(d *target.Disk) []string {
	lines := d.Links
	switch {
	case d.Refusal != "":
		lines = append(lines, "not to be had: "+d.Refusal)
	case d.Contents == "":
		lines = append(lines, "empty")
	}
	if d.Contents != "" {
		lines = append(lines, "on it: "+d.Contents)
	}
	if d.Contents != "" && d.Refusal == "" {
		lines = append(lines, "to overwrite that: --code "+d.Code())
	}
	return lines
}
