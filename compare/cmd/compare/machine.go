package main

import (
	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/compare/machine"
)

func machineVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "machine",
		Short: "describe this machine, for publish --machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := machine.This().JSON()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
