package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/passphrase"
)

func newKeys() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "make and look at the keys of a release",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return usageError{fmt.Errorf("keys: say generate, encrypt, decrypt, show or fingerprint")}
		},
	}
	c.AddCommand(newKeysGenerate(), newKeysEncrypt(), newKeysDecrypt(), newKeysShow(), newKeysFingerprint())
	return c
}

func newKeysGenerate() *cobra.Command {
	var dir, organisation, file string
	var roles, bits []string
	var tryOut, encrypt, asJSON bool
	c := &cobra.Command{
		Use:   "generate --dir DIR",
		Short: "make a key pair for each role; never overwrites",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := keys.Options{Organisation: organisation, TryOut: tryOut}
			for _, name := range roles {
				r, err := keys.ParseRole(name)
				if err != nil {
					return usageError{err}
				}
				o.Roles = append(o.Roles, r)
			}
			var err error
			if o.Bits, err = parseBits(bits); err != nil {
				return usageError{err}
			}
			switch {
			case encrypt:
				if o.Passphrase, err = passphrase.New(file, passphraseHint); err != nil {
					return err
				}
			case cmd.Flags().Changed("passphrase-file"):
				return usageError{errors.New("--passphrase-file is given without --encrypt")}
			}
			infos, err := keys.Generate(dir, o)
			if err != nil {
				return err
			}
			if tryOut {
				fmt.Fprintln(cmd.ErrOrStderr(), "attest: these are TRY-OUT keys: nothing signed with them is protected")
			}
			return printInfos(cmd.OutOrStdout(), infos, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "dir", "", "folder for the key files")
	f.StringArrayVar(&roles, "role", nil, "role to make a key for; may be repeated; all by default")
	f.StringVar(&organisation, "organisation", "", "name that the certificates bear")
	f.BoolVar(&tryOut, "try-out", false, "mark the names TRY-OUT: unfit for use")
	f.StringArrayVar(&bits, "bits", nil, "ROLE=N: RSA size other than the role's default")
	f.BoolVar(&encrypt, "encrypt", false, "put the private keys under a passphrase")
	passphraseFlag(c, &file)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cobra.CheckErr(c.MarkFlagRequired("dir"))
	return c
}

// parseBits reads "ROLE=N" arguments.
func parseBits(args []string) (map[keys.Role]int, error) {
	sizes := map[keys.Role]int{}
	for _, a := range args {
		name, number, ok := strings.Cut(a, "=")
		if !ok {
			return nil, fmt.Errorf("--bits %q is not ROLE=N", a)
		}
		r, err := keys.ParseRole(name)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("--bits %q is not ROLE=N", a)
		}
		if _, twice := sizes[r]; twice {
			return nil, fmt.Errorf("--bits is given twice for %s", r)
		}
		sizes[r] = n
	}
	return sizes, nil
}

func newKeysShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show PATH...",
		Short: "describe key files, or the key files of a folder, without their secrets",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			infos, err := describe(args)
			if err != nil {
				return err
			}
			return printInfos(cmd.OutOrStdout(), infos, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newKeysFingerprint() *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprint PATH...",
		Short: "print the fingerprint of each key file, one line each",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			infos, err := describe(args)
			if err != nil {
				return err
			}
			for _, i := range infos {
				if i.Fingerprint == "" {
					return fmt.Errorf("%s is a %s, which tells nothing of its key: ask for that of its public half", i.File, i.Kind)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", i.Fingerprint, printable(i.File))
			}
			return nil
		},
	}
}

// describe describes files, and the key files of folders.
func describe(paths []string) ([]keys.Info, error) {
	var infos []keys.Info
	for _, p := range paths {
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			in, err := keys.DescribeDir(p)
			if err != nil {
				return nil, err
			}
			infos = append(infos, in...)
			continue
		}
		i, err := keys.Describe(p)
		if err != nil {
			return nil, err
		}
		infos = append(infos, i)
	}
	return infos, nil
}

// printInfos prints what is known of each key file.
func printInfos(w io.Writer, infos []keys.Info, asJSON bool) error {
	if asJSON {
		return writeJSON(w, infos)
	}
	for _, i := range infos {
		if i.Fingerprint == "" {
			fmt.Fprintf(w, "%s: %s\n", printable(i.File), i.Kind)
			continue
		}
		fmt.Fprintf(w, "%s: %s, %s\n", printable(i.File), i.Kind, i.Algorithm)
		if i.Subject != "" {
			fmt.Fprintf(w, "  name         %s\n", printable(i.Subject))
		}
		fmt.Fprintf(w, "  fingerprint  %s\n               (%s)\n", i.Fingerprint, i.FingerprintOf)
		if i.Expires != "" {
			fmt.Fprintf(w, "  expires      %s\n", i.Expires)
		}
		if i.TryOut {
			fmt.Fprintf(w, "  TRY-OUT: nothing signed with this key is protected\n")
		}
	}
	return nil
}
