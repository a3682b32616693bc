package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/bundle"
	"github.com/mastercard/mangos/attest/dsse"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/passphrase"
	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/attest/statement"
	"github.com/mastercard/mangos/attest/verify"
)

// verifyOptions are the flags of attest verify.
type verifyOptions struct {
	release, policy, at    string
	modules                string
	summary, key, verifier string
	passphrase             string // file
	resource, policyURI    string
	asJSON                 bool
}

func newVerify() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify --release DIR --policy FILE",
		Short: "verify a release: its evidence, its signatures, and that they are of what is in it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, args []string) error { return o.run(cmd) },
	}
	f := c.Flags()
	f.StringVar(&o.release, "release", "", "`DIR` of the release")
	f.StringVar(&o.policy, "policy", "", "`FILE` that says who is trusted (attest policy)")
	f.StringVar(&o.at, "at", "", "`TIME` at which the layout must be in force and all steps have ended (default now)")
	f.StringVar(&o.modules, "modules", "", "`DIR` of the Go modules' archives, to hold their content against go.sum (cache/download of a module cache)")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.StringVar(&o.summary, "summary", "", "`FILE` to write a signed Verification Summary Attestation to, whatever the verdict")
	f.StringVar(&o.key, "summary-key", "", "`FILE` of the verifier's own attest key")
	passphraseFlag(c, &o.passphrase)
	f.StringVar(&o.verifier, "verifier", "", "`URI` of the verifier, in the summary")
	f.StringVar(&o.resource, "resource", "", "`URI` of the release, in the summary (default pkg:generic/NAME@VERSION)")
	f.StringVar(&o.policyURI, "policy-uri", "", "`URI` of the policy, in the summary (default its digest)")
	cobra.CheckErr(c.MarkFlagRequired("release"))
	cobra.CheckErr(c.MarkFlagRequired("policy"))
	c.MarkFlagsRequiredTogether("summary", "summary-key", "verifier")
	return c
}

func (o *verifyOptions) run(cmd *cobra.Command) error {
	now := time.Now()
	at, err := moment(o.at, now)
	if err != nil {
		return err
	}
	p, err := policy.Load(o.policy)
	if err != nil {
		return err
	}
	var options []verify.Option
	if o.modules != "" {
		options = append(options, verify.Modules(o.modules))
	}
	report, err := verify.Release(cmd.Context(), o.release, p, at, options...)
	if err != nil {
		return err
	}
	verdict := printReport(cmd, report, o.asJSON)
	if o.summary == "" || verdict != nil && !errors.Is(verdict, errFailed) {
		return verdict
	}
	if err := o.summarise(cmd, report, now); err != nil {
		return err
	}
	return verdict
}

// moment is the time that --at names, or now.
func moment(at string, now time.Time) (time.Time, error) {
	if at == "" {
		return now, nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return now, usageError{fmt.Errorf("--at %q: want a time such as 2030-12-31T00:00:00Z", at)}
	}
	return t, nil
}

// ownVersion is the version of this program that its build wrote down; empty where it was
// built of no commit or tag, as the pipeline does.
func ownVersion(info *debug.BuildInfo, ok bool) string {
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}

// summarise writes the Verification Summary Attestation.
func (o *verifyOptions) summarise(cmd *cobra.Command, report *verify.Report, now time.Time) error {
	key, err := keys.LoadPrivateWith(keys.Attest, o.key, passphrase.Existing(o.passphrase, passphraseHint))
	if err != nil {
		return err
	}
	v := verify.Verifier{ID: o.verifier, Version: ownVersion(debug.ReadBuildInfo()), Resource: o.resource, Policy: o.policyURI, Time: now}
	if v.Policy == "" {
		v.Policy = "urn:sha256:" + report.Policy
	}
	if v.Resource == "" {
		v.Resource = "pkg:generic/" + strings.ReplaceAll(report.Release, " ", "@")
	}
	s, err := report.Summary(v)
	if err != nil {
		return err
	}
	payload, err := s.Encode()
	if err != nil {
		return err
	}
	e, err := dsse.Sign(statement.PayloadType, payload, key)
	if err != nil {
		return err
	}
	data, err := bundle.Encode(e, key.Public())
	if err != nil {
		return err
	}
	return writeOutput(cmd, o.summary, data)
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
