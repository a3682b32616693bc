package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/passphrase"
)

// passphraseHint says what to do where nobody can be asked.
const passphraseHint = "name a file with it by --passphrase-file"

// passphraseFlag adds --passphrase-file, which the environment may give too.
func passphraseFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "passphrase-file", os.Getenv(passphrase.Variable), "file with the passphrase; without it the terminal is asked")
}

func newKeysEncrypt() *cobra.Command {
	var file, out string
	c := &cobra.Command{
		Use:   "encrypt FILE --out FILE",
		Short: "put a private key under a passphrase: in cosign's format, or OpenPGP's for the release key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return keys.Convert(args[0], out, func(data []byte) ([]byte, error) {
				if keys.Sealed(data) {
					return nil, keys.ErrSealed
				}
				words, err := passphrase.New(file, passphraseHint)
				if err != nil {
					return nil, err
				}
				return keys.Seal(data, words)
			})
		},
	}
	passphraseFlag(c, &file)
	c.Flags().StringVar(&out, "out", "", "the new file; never an existing one")
	cobra.CheckErr(c.MarkFlagRequired("out"))
	return c
}

func newKeysDecrypt() *cobra.Command {
	var file, out string
	c := &cobra.Command{
		Use:   "decrypt FILE --out FILE",
		Short: "take the passphrase off a private key, in the format of cosign or OpenPGP",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return keys.Convert(args[0], out, func(data []byte) ([]byte, error) {
				if !keys.Sealed(data) {
					return nil, errors.New("no private key under a passphrase of cosign's format or OpenPGP's")
				}
				words, err := passphrase.Existing(file, passphraseHint)(args[0])
				if err != nil {
					return nil, err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "attest: %s holds the key without protection: whoever reads it can sign\n", printable(out))
				return keys.Open(data, words)
			})
		},
	}
	passphraseFlag(c, &file)
	c.Flags().StringVar(&out, "out", "", "the new file; never an existing one")
	cobra.CheckErr(c.MarkFlagRequired("out"))
	return c
}
