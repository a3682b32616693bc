package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/compare/report"
)

func reportVerb() *cobra.Command {
	var (
		j    judgement
		html string
	)
	c := &cobra.Command{
		Use:   "report EVIDENCE… --html FILE --policy FILE --organisations FILE",
		Short: "write a verdict and its explanation as one page of HTML",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := j.decide(cmd.Context(), args)
			if err != nil {
				return err
			}
			r, err := report.New(cmd.Context(), v)
			if err != nil {
				return fmt.Errorf("report: %w", err)
			}
			var page bytes.Buffer
			if err := r.Write(&page); err != nil {
				return err
			}
			if err := os.WriteFile(html, page.Bytes(), 0o644); err != nil {
				return fmt.Errorf("report: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", html, v.Outcome.Text())
			return ended(v.ExitCode)
		},
	}
	c.Flags().StringVar(&html, "html", "", "file to write the page to")
	return require(j.flags(c), "html")
}
