package main

import (
	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/verify"
	"github.com/mastercard/mangos/modules/debian/lock"
)

func newVerifyExtension() *cobra.Command {
	var image, policyFile, lockFile string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify-extension --image FILE --policy FILE",
		Short: "verify an extension that was built by itself, with the statements beside it",
		Long: "Verify NAME.CLASS.raw, an extension that build-extension made: that a trusted key signed the\n" +
			"statements beside it (NAME.CLASS.STEP.sigstore.json), that they are of this file, and that the\n" +
			"kernel of a device takes it. It prints what the extension says of itself: which machines take\n" +
			"that, they say themselves.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := policy.Load(policyFile)
			if err != nil {
				return err
			}
			var l *lock.Lock
			if lockFile != "" {
				if l, err = lock.Load(lockFile); err != nil {
					return err
				}
			}
			report, err := verify.Extension(cmd.Context(), image, p, l)
			if err != nil {
				return err
			}
			return printReport(cmd, report, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&image, "image", "", "`FILE` of the extension, NAME.CLASS.raw")
	f.StringVar(&policyFile, "policy", "", "`FILE` that says who is trusted (attest policy)")
	f.StringVar(&lockFile, "lock", "", "`FILE` with the lock, to hold the packages against that made the extension")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cobra.CheckErr(c.MarkFlagRequired("image"))
	cobra.CheckErr(c.MarkFlagRequired("policy"))
	return c
}

// printReport prints a report; its verdict is the error.
func printReport(cmd *cobra.Command, report *verify.Report, asJSON bool) error {
	out := printer{cmd.OutOrStdout()}
	write := report.Text
	if asJSON {
		write = report.JSON
	}
	if err := write(out); err != nil {
		return err
	}
	if report.Err() != nil {
		return errFailed
	}
	return nil
}
