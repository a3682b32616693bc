package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/organisation"
)

func commitVerb() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "commit FOLDER --to DIR",
		Short: "show others the digest of our evidence, and nothing else yet",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, err := evidence.Commit(cmd.Context(), args[0], to)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), folder)
			return nil
		},
	}
	c.Flags().StringVar(&to, "to", "", "folder of evidence that is shared with others")
	return require(c, "to")
}

func revealVerb() *cobra.Command {
	var to, key string
	c := &cobra.Command{
		Use:   "reveal FOLDER --to DIR --key FILE",
		Short: "show others our evidence, when they have committed to theirs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			signer, err := keys.LoadPrivate(keys.Attest, key)
			if err != nil {
				return fmt.Errorf("reveal: %w", err)
			}
			folder, seen, err := evidence.RevealTo(cmd.Context(), args[0], to, signer)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), folder)
			if len(seen) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "compare: nobody else had committed: whoever publishes the same from now on may have copied it")
			} else {
				fmt.Fprintln(cmd.ErrOrStderr(), "compare: had committed before: "+strings.Join(seen, ", "))
			}
			return nil
		},
	}
	c.Flags().StringVar(&to, "to", "", "folder of evidence that is shared with others")
	c.Flags().StringVar(&key, "key", "", "file of the private key that signed the evidence")
	return require(c, "to", "key")
}

func resultsVerb() *cobra.Command {
	var key, organisations string
	c := &cobra.Command{
		Use:   "results FOLDER EVIDENCE… --organisations FILE --key FILE",
		Short: "sign whether our build is the same as those of others, good or bad",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			signer, err := keys.LoadPrivate(keys.Attest, key)
			if err != nil {
				return fmt.Errorf("results: %w", err)
			}
			others, err := verified(cmd.Context(), args[1:], organisations)
			if err != nil {
				return fmt.Errorf("results: %w", err)
			}
			r, err := evidence.SignResults(cmd.Context(), args[0], others, signer)
			if err != nil {
				return err
			}
			for _, x := range r.List {
				text := "the same"
				switch {
				case x.Inputs:
					text = "made from other inputs"
				case len(x.Differs) > 0:
					text = fmt.Sprintf("%d artifacts differ", len(x.Differs))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", x.Organisation, text)
			}
			return nil
		},
	}
	c.Flags().StringVar(&key, "key", "", "file of the private key that signed our evidence")
	c.Flags().StringVar(&organisations, "organisations", "", "file that says whose evidence is looked at, and by which keys")
	return require(c, "key", "organisations")
}

// verified reads all evidence at the places. What does not verify is an error:
// a result is signed of what is known to be someone's.
func verified(ctx context.Context, places []string, organisations string) ([]*evidence.Evidence, error) {
	r, err := organisation.Load(organisations)
	if err != nil {
		return nil, err
	}
	folders, err := find(ctx, places, "", r)
	if err != nil {
		return nil, err
	}
	reader := &evidence.Reader{Registry: r, At: time.Now()}
	var list []*evidence.Evidence
	for _, f := range folders {
		e, err := reader.Verify(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Place, err)
		}
		list = append(list, e)
	}
	return list, nil
}
