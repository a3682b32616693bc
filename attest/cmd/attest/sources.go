package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/modules/debian/lock"
)

func newSources() *cobra.Command {
	var files, out string
	var selections []string
	c := &cobra.Command{
		Use:   "sources --out FILE [--selection FILE --files DIR] [SET...]",
		Short: "find out which sources packages were built from",
		Long: "Identify the source packages of selections, whose files lie in a folder, and write the set of\n" +
			"their identities, together with those of the given sets.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var set sourceid.Set
			for _, name := range args {
				s, err := sourceid.Load(name)
				if err != nil {
					return err
				}
				set.Sources = append(set.Sources, s.Sources...)
			}
			for _, name := range selections {
				s, err := lock.LoadSelection(name)
				if err != nil {
					return err
				}
				if s.Source == nil {
					return fmt.Errorf("%s selects packages, not a source", name)
				}
				id, err := sourceid.IdentifyIn(files, s.Source)
				if err != nil {
					return err
				}
				set.Sources = append(set.Sources, *id)
			}
			text, err := set.Encode()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d sources: %v\n", len(set.Sources), set.Count())
			return writeOut(filepath.Clean(out), text)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&selections, "selection", nil, "selection of a source package (repeatable)")
	f.StringVar(&files, "files", "", "folder with the files of these source packages")
	f.StringVar(&out, "out", "", "file to write")
	cobra.CheckErr(c.MarkFlagRequired("out"))
	c.MarkFlagsRequiredTogether("selection", "files")
	return c
}
