package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/debian/bootstrap"
	"github.com/mastercard/mangos/modules/debian/enter"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/debian/treedigest"
)

func bootstrapCommand() *cobra.Command {
	var selection, packages, root, sandbox string
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "make a configured root file system of a selection's packages",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sel, err := lock.LoadSelection(selection)
			if err != nil {
				return err
			}
			if sandbox, err = enter.FindSandbox(sandbox); err != nil {
				return err
			}
			if err := emptyFolder(root); err != nil {
				return err
			}
			b := bootstrap.Builder{Selection: sel, Packages: packages, Root: root, Sandbox: sandbox, Log: cmd.ErrOrStderr()}
			return b.Build(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&selection, "selection", "", "`FILE` of the selection")
	cmd.Flags().StringVar(&packages, "packages", "", "`DIR` of the package files")
	cmd.Flags().StringVar(&root, "root", "", "`DIR` to make it in: empty or not there")
	cmd.Flags().StringVar(&sandbox, "sandbox", "", "the sandbox `PROGRAM` (default: beside this one)")
	require(cmd, "selection", "packages", "root")
	return cmd
}

func digestCommand() *cobra.Command {
	var list bool
	cmd := &cobra.Command{
		Use:   "digest DIR",
		Short: "print a digest of a tree of files, or its list",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := treedigest.Lines(args[0])
			if err != nil {
				return err
			}
			if list {
				for _, line := range lines {
					fmt.Fprintln(cmd.OutOrStdout(), line)
				}
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), treedigest.Digest(lines))
			return nil
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "print a line for each path")
	return cmd
}
