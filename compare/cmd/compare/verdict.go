package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/policy"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/terminal"
	"github.com/mastercard/mangos/compare/verdict"
)

// judgement is the flags by which evidence is judged.
type judgement struct {
	policy, organisations, release, at string
}

func (j *judgement) flags(c *cobra.Command) *cobra.Command {
	s := c.Flags()
	s.StringVar(&j.policy, "policy", "", "file that says how many organisations must agree")
	s.StringVar(&j.organisations, "organisations", "", "file that says who may vote, and by which keys")
	s.StringVar(&j.release, "release", "", "the release to judge, where there is evidence of several")
	s.StringVar(&j.at, "at", "", "judge ages as of this time, RFC 3339; by default now")
	return require(c, "policy", "organisations")
}

func (j *judgement) options() (verdict.Options, error) {
	o := verdict.Options{Release: j.release, At: time.Now()}
	var err error
	if j.at != "" {
		if o.At, err = time.Parse(time.RFC3339, j.at); err != nil {
			return o, usageError{fmt.Errorf("--at: %w", err)}
		}
	}
	if o.Registry, err = organisation.Load(j.organisations); err != nil {
		return o, err
	}
	if o.Policy, err = policy.Load(j.policy); err != nil {
		return o, err
	}
	return o, o.Policy.CheckAgainst(o.Registry)
}

// decide finds the evidence at the places and judges it.
func (j *judgement) decide(ctx context.Context, places []string) (*verdict.Verdict, error) {
	o, err := j.options()
	if err != nil {
		return nil, err
	}
	folders, err := find(ctx, places, o.Release, o.Registry)
	if err != nil {
		return nil, err
	}
	return verdict.Decide(ctx, folders, o)
}

// find lists the evidence of registered organisations, and of others where a
// place can be listed. A place without evidence has none to list.
func find(ctx context.Context, places []string, release string, r *organisation.Registry) ([]*repository.Folder, error) {
	ids := make([]string, len(r.Organisations))
	for i := range r.Organisations {
		ids[i] = r.Organisations[i].ID
	}
	var folders []*repository.Folder
	seen := map[string]bool{}
	for _, place := range places {
		list, err := repository.Find(ctx, place, release, ids)
		if err != nil && !errors.Is(err, repository.ErrEmpty) {
			return nil, fmt.Errorf("find evidence: %w", err)
		}
		for _, f := range list {
			if !seen[f.Place] {
				seen[f.Place] = true
				folders = append(folders, f)
			}
		}
	}
	return folders, nil
}

func verdictVerb() *cobra.Command {
	var (
		j           judgement
		asJSON, all bool
		vsa, key    string
	)
	c := &cobra.Command{
		Use:   "verdict EVIDENCE… --policy FILE --organisations FILE",
		Short: "decide whether enough organisations built the same",
		Long: "Decides whether enough organisations built the same. EVIDENCE is a folder, a git\n" +
			"checkout, or an address below which a web server has RELEASE/ORGANISATION.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (vsa == "") != (key == "") {
				return usageError{errors.New("--vsa and --key are given both or none")}
			}
			v, err := j.decide(cmd.Context(), args)
			if err != nil {
				return err
			}
			if vsa != "" {
				if err := writeVSA(v, vsa, key); err != nil {
					return err
				}
			}
			if asJSON {
				err = terminal.WriteJSON(cmd.OutOrStdout(), v)
			} else {
				err = verdict.Text{All: all}.Write(cmd.OutOrStdout(), v)
			}
			if err != nil {
				return err
			}
			return ended(v.ExitCode)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON (compare/verdict/verdict-1.schema.json)")
	c.Flags().BoolVar(&all, "all", false, "list every package and input")
	c.Flags().StringVar(&vsa, "vsa", "", "file to write a signed Verification Summary Attestation to")
	c.Flags().StringVar(&key, "key", "", "file of the private key of the role attest that signs it")
	return j.flags(c)
}

func writeVSA(v *verdict.Verdict, path, key string) error {
	signer, err := keys.LoadPrivate(keys.Attest, key)
	if err != nil {
		return fmt.Errorf("verification summary: %w", err)
	}
	s, err := v.VSA()
	if err != nil {
		return err
	}
	text, err := evidence.Sign(s, signer)
	if err != nil {
		return fmt.Errorf("verification summary: %w", err)
	}
	return os.WriteFile(path, text, 0o644)
}
