package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
)

// layoutYears is how long a layout counts, from the date of the distribution
// that the release was made of.
const layoutYears = 10

func newEvidence() *cobra.Command {
	var records, key, out string
	var epoch int64
	var o evidence.Options
	c := &cobra.Command{
		Use:   "evidence --records DIR --name NAME --key FILE --epoch SECONDS --out DIR",
		Short: "make the signed statements, links and layout of a build from its records",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := evidence.Records(records)
			if err != nil {
				return err
			}
			if o.Key, err = keys.LoadPrivate(keys.Attest, key); err != nil {
				return err
			}
			o.Pipeline = pipeline.Standard()
			o.Expires = time.Unix(epoch, 0).UTC().AddDate(layoutYears, 0, 0)
			files, err := evidence.Make(list, o)
			if err != nil {
				return err
			}
			if err := files.Write(out); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "attest: signed %d files of evidence\n", len(files))
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&records, "records", "", "folder of the records")
	f.StringVar(&o.Name, "name", "", "what the names of the statements' files begin with")
	f.StringVar(&key, "key", "", "attest key")
	f.StringVar(&o.Builder.ID, "builder", provenance.LocalBuilder, "URI of the builder in whose name the statements are made")
	f.Int64Var(&epoch, "epoch", 0, fmt.Sprintf("date of the distribution, seconds since 1970; the layout counts for %d years from then", layoutYears))
	f.StringVar(&out, "out", "", "folder to write to")
	for _, name := range []string{"records", "name", "key", "epoch", "out"} {
		cobra.CheckErr(c.MarkFlagRequired(name))
	}
	return c
}
