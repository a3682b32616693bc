package main

import (
	"debug/buildinfo"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/sourceid"
)

func newProgramSource() *cobra.Command {
	var dir, module string
	var files bool
	c := &cobra.Command{
		Use:   "program-source PACKAGE",
		Short: "identify the source of a program of the device, as its bill of materials does",
		Long: "Print the identifier of the tree of files that a Go program of the device is compiled from:\n" +
			"go.mod, go.sum and, of the packages of its module, what the compiler is given for Linux on amd64.\n" +
			"In a checkout of the commit that a release was built from it is the one that its bill of\n" +
			"materials says. PACKAGE is an import path.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := sourceid.ReadProgram(dir, &buildinfo.BuildInfo{
				Path: args[0], Main: debug.Module{Path: module},
				Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}, {Key: "CGO_ENABLED", Value: "0"}},
			})
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), p.Tree.SWHID())
			if files {
				for _, name := range p.Files {
					fmt.Fprintf(cmd.OutOrStdout(), "%q\n", name)
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "source", ".", "folder of the Go module, such as a checkout")
	c.Flags().StringVar(&module, "module", "github.com/mastercard/mangos", "the module's path")
	c.Flags().BoolVar(&files, "files", false, "list the files, too")
	return c
}
