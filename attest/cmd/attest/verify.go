package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify"
)

func newVerify() *cobra.Command {
	var release, file, at string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify --release DIR --policy FILE",
		Short: "verify a release: its evidence, its signatures, and that they are of what is in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			when := time.Now()
			if at != "" {
				var err error
				if when, err = time.Parse(time.RFC3339, at); err != nil {
					return usageError{fmt.Errorf("--at %q: want a time such as 2030-12-31T00:00:00Z", at)}
				}
			}
			p, err := policy.Load(file)
			if err != nil {
				return err
			}
			report, err := verify.Release(cmd.Context(), release, p, when)
			if err != nil {
				return err
			}
			out := printer{cmd.OutOrStdout()}
			if asJSON {
				err = report.JSON(out)
			} else {
				err = report.Text(out)
			}
			if err != nil {
				return err
			}
			if report.Err() != nil {
				return errFailed
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&release, "release", "", "`DIR` of the release")
	f.StringVar(&file, "policy", "", "`FILE` that says who is trusted (attest policy)")
	f.StringVar(&at, "at", "", "`TIME` at which the layout must be in force (default now)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cobra.CheckErr(c.MarkFlagRequired("release"))
	cobra.CheckErr(c.MarkFlagRequired("policy"))
	return c
}

func newPolicy() *cobra.Command {
	var keyFolder, definition, out string
	c := &cobra.Command{
		Use:   "policy --keys DIR",
		Short: "write the policy that trusts an organisation's keys, and the distribution's",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := policy.Write(keyFolder, definition)
			if err != nil {
				return err
			}
			return writeOutput(cmd, out, text)
		},
	}
	f := c.Flags()
	f.StringVar(&keyFolder, "keys", "", "`DIR` of the public keys, as attest keys generate names them")
	f.StringVar(&definition, "definition", "mangos.toml", "`FILE` of the definition, whose archive keys are trusted")
	f.StringVar(&out, "out", "-", "`FILE` to write")
	cobra.CheckErr(c.MarkFlagRequired("keys"))
	return c
}
