package main

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/evidence"
	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/attest/passphrase"
	"github.com/mastercard/mangos/attest/pipeline"
	"github.com/mastercard/mangos/attest/provenance"
)

// layoutYears is how long a layout counts, from the date of the distribution
// that the release was made of.
const layoutYears = 10

func newEvidence() *cobra.Command {
	var b build
	var key, public, file string
	c := &cobra.Command{
		Use:   "evidence --records DIR --name NAME --key FILE --epoch SECONDS --out DIR",
		Short: "make the signed statements, links and layout of a build from its records",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if st, err := os.Stat(key); err == nil && st.IsDir() {
				return b.attach(cmd, key, public)
			}
			signer, err := keys.LoadPrivateWith(keys.Attest, key, passphrase.Existing(file, passphraseHint))
			if err != nil {
				return err
			}
			return b.make(cmd, signer)
		},
	}
	b.flags(c)
	f := c.Flags()
	f.StringVar(&key, "key", "", "attest key, or a folder of signatures made elsewhere")
	f.StringVar(&public, "public", "", "its public half; needed with a folder only")
	passphraseFlag(c, &file)
	cobra.CheckErr(c.MarkFlagRequired("key"))
	return c
}

// The two verbs below are for an attest key that is elsewhere: one exports what
// it shall sign, the other makes the same files as evidence does, with what came
// back.

func newExportDigests() *cobra.Command {
	var b build
	var signatures, public string
	c := &cobra.Command{
		Use:   "export-digests --records DIR --name NAME --public FILE --epoch SECONDS --out DIR",
		Short: "write what an attest key elsewhere shall sign, and has not signed yet",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, signer, err := elsewhere(signatures, public)
			if err != nil {
				return err
			}
			if _, err := b.documents(signer); err != nil && !errors.Is(err, offline.ErrMissing) {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "attest: %d signatures are to be made: see %s\n",
				len(s.Missing()), printable(filepath.Join(b.out, offline.ListName)))
			return offline.Export(b.out, s.Missing())
		},
	}
	b.flags(c)
	c.Flags().StringVar(&public, "public", "", "public half of the attest key")
	c.Flags().StringVar(&signatures, "signatures", "", "folder with the signatures so far")
	cobra.CheckErr(c.MarkFlagRequired("public"))
	return c
}

func newAttachSignatures() *cobra.Command {
	var b build
	var signatures, public string
	c := &cobra.Command{
		Use:   "attach-signatures --records DIR --name NAME --public FILE --signatures DIR --epoch SECONDS --out DIR",
		Short: "make the evidence of a build with signatures that an attest key elsewhere made",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, args []string) error { return b.attach(cmd, signatures, public) },
	}
	b.flags(c)
	c.Flags().StringVar(&public, "public", "", "public half of the attest key")
	c.Flags().StringVar(&signatures, "signatures", "", "folder with the signatures")
	cobra.CheckErr(errors.Join(c.MarkFlagRequired("public"), c.MarkFlagRequired("signatures")))
	return c
}

// elsewhere returns a signer with the signatures in a folder.
func elsewhere(signatures, public string) (*offline.Signatures, crypto.Signer, error) {
	if public == "" {
		return nil, nil, usageError{errors.New("--public is not given: signatures made elsewhere are checked with it")}
	}
	pub, err := keys.LoadPublic(keys.Attest, public)
	if err != nil {
		return nil, nil, err
	}
	s, err := offline.Open(signatures)
	if err != nil {
		return nil, nil, err
	}
	// LoadPublic has made sure of its kind.
	return s, s.Signer(keys.Attest, "evidence of the build", pub.(ed25519.PublicKey)), nil
}

// build says what evidence is made of, and where it is written.
type build struct {
	records, out string
	epoch        int64
	extension    bool
	o            evidence.Options
}

func (b *build) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&b.records, "records", "", "folder of the records")
	f.StringVar(&b.o.Name, "name", "", "what the names of the statements' files begin with")
	f.StringVar(&b.o.Builder.ID, "builder", provenance.LocalBuilder, "URI of the builder in whose name the statements are made")
	f.Int64Var(&b.epoch, "epoch", 0, fmt.Sprintf("date of the distribution, seconds since 1970; the layout counts for %d years from then", layoutYears))
	f.BoolVar(&b.extension, "extension", false, "the records are of an extension that is built by itself: statements, no links and no layout")
	f.StringVar(&b.out, "out", "", "folder to write to")
	for _, name := range []string{"records", "name", "epoch", "out"} {
		cobra.CheckErr(c.MarkFlagRequired(name))
	}
}

// documents makes the evidence.
func (b *build) documents(key crypto.Signer) (evidence.Files, error) {
	list, err := evidence.Records(b.records)
	if err != nil {
		return nil, err
	}
	o := b.o
	o.Key = key
	if b.extension {
		return evidence.Extension(list, o)
	}
	o.Pipeline = pipeline.Standard()
	o.Expires = time.Unix(b.epoch, 0).UTC().AddDate(layoutYears, 0, 0)
	return evidence.Make(list, o)
}

// make writes the evidence, signed by key.
func (b *build) make(cmd *cobra.Command, key crypto.Signer) error {
	files, err := b.documents(key)
	if err != nil {
		return err
	}
	if err := files.Write(b.out); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "attest: signed %d files of evidence\n", len(files))
	return nil
}

// attach writes the evidence with signatures from a folder.
func (b *build) attach(cmd *cobra.Command, signatures, public string) error {
	_, signer, err := elsewhere(signatures, public)
	if err != nil {
		return err
	}
	return b.make(cmd, signer)
}
