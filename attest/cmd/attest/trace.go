package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/trace"
)

func newTrace() *cobra.Command {
	var (
		dir, policyFile string
		at              string
		o               trace.Options
		keyFiles        []string
		asJSON, draws   bool
	)
	c := &cobra.Command{
		Use:   "trace --release DIR PATH|SHA256|NAME...",
		Short: "tell where a file of a release is from",
		Long: "Tell where a file is from: package, source, signed Release of the distribution, builder.\n" +
			"A PATH is absolute, as on the device (initrd:/PATH for the initrd alone). A NAME is that of\n" +
			"a part (root, initrd, kernel, boot, microcode) or of a file of the release, which is read:\n" +
			"it fails if its digest is not that in SHA256SUMS. It may be that of a product of a step, too\n" +
			"(boot.efi, plan.json): what is in no part of the image is known by the step's statement.\n" +
			"/boot/PATH is a file of the EFI system partition. What the organisation's extension has is not\n" +
			"listed: of a path below /etc, or a SHA256, that is not known it is said that it may be there.\n" +
			"Who built it are the steps on its way into the image, from that which fetched its package or\n" +
			"made it, and no other.\n" +
			"With --policy, the same that verify takes, it names the organisation whose key signed the\n" +
			"statement of each step, and fails unless each has a statement and a link as the policy wants\n" +
			"them, and what one used is what the one before made. The distribution's Release must be signed\n" +
			"by the keys that the policy has for it; that its indexes list a package is for verify. In\n" +
			"--json that is trust (not checked, in the policy, not in the policy) and organisation, in each\n" +
			"entry of built and in locked; what is wrong stands in faults.\n" +
			"With --policy or --key it also fails unless a trusted statement has the bill of materials as a\n" +
			"product: all that is told rests on it. In --json that statement stands in document. A file\n" +
			"of the release must be a product of one, too; in --json that one stands in released.\n" +
			"Without them no signature is checked, and it says so.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.At, err = moment(at, time.Now()); err != nil {
				return err
			}
			for _, name := range keyFiles {
				key, err := keys.LoadPublic(keys.Attest, name)
				if err != nil {
					return err
				}
				o.Keys = append(o.Keys, key)
			}
			if policyFile != "" {
				p, err := policy.Load(policyFile)
				if err != nil {
					return err
				}
				o.Policy = p
			}
			r, err := trace.Open(dir, o)
			if err != nil {
				return err
			}
			var results []*trace.Result
			failed := false
			for _, a := range args {
				result, err := r.Trace(a)
				if errors.Is(err, trace.ErrUnknown) {
					failed = true
					fmt.Fprintf(cmd.ErrOrStderr(), "attest: %s\n", printable(err.Error()))
					continue
				}
				if err != nil {
					return err
				}
				results = append(results, result)
				failed = failed || result.Untrusted()
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				err = writeJSON(out, results)
			default:
				for _, result := range results {
					text := result.Text()
					if draws {
						text = result.Tree()
					}
					fmt.Fprint(out, printable(text))
				}
			}
			if err == nil && failed {
				err = errFailed
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "release", "", "folder of the release")
	f.StringVar(&o.Lock, "lock", "", "lock to hold packages against (default: the one in the release)")
	f.StringArrayVar(&keyFiles, "key", nil, "attest key, public, to check the statements' signatures by (repeatable)")
	f.StringVar(&policyFile, "policy", "", "`FILE` that says whose the keys are (attest policy)")
	f.StringVar(&at, "at", "", "`TIME` at which the layout must be in force, with --policy (default now)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&draws, "tree", false, "draw it")
	cobra.CheckErr(c.MarkFlagRequired("release"))
	c.MarkFlagsMutuallyExclusive("json", "tree")
	return c
}
