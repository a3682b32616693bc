package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/keys"
	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/sign"
)

// The two verbs in this file are for keys that are elsewhere: one exports what
// they shall sign, the other makes the signed files once the signatures are
// there. Both do what the steps with a key do, so the files are the same.

func exportDigestsStep() *cobra.Command {
	var e elsewhereFlags
	c := step("export-digests", "write what keys elsewhere shall sign, and have not signed yet", func(ctx context.Context) error {
		signatures, err := offline.Open(e.signatures)
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "export-digests-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := e.sign(ctx, signatures, dir); err != nil && !errors.Is(err, offline.ErrMissing) {
			return err
		}
		return exportDigests(e.out, signatures)
	})
	return e.flags(c)
}

// exportDigests writes what signatures lacks to out.
func exportDigests(out string, signatures *offline.Signatures) error {
	missing := signatures.Missing()
	fmt.Fprintf(os.Stderr, "image: %d signatures are to be made: see %s\n", len(missing), filepath.Join(out, offline.ListName))
	return offline.Export(out, missing)
}

func attachSignaturesStep() *cobra.Command {
	var e elsewhereFlags
	c := step("attach-signatures", "make the signed files with signatures that keys elsewhere made", func(ctx context.Context) error {
		signatures, err := offline.Open(e.signatures)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(e.out, 0o755); err != nil {
			return err
		}
		return e.sign(ctx, signatures, e.out)
	})
	return require(e.flags(c), "signatures")
}

// elsewhereFlags say what keys elsewhere shall sign, or have signed. What is not
// given is not signed.
type elsewhereFlags struct {
	image                   imageFlags
	public, signatures, out string
	rootHash, sums          string
	programs                []string
	epoch                   func() (int64, error)
}

func (e *elsewhereFlags) flags(c *cobra.Command) *cobra.Command {
	f := c.Flags()
	e.image.flags(c)
	f.StringVar(&e.public, "public", "", "folder with the public halves: secure-boot.crt, verity.crt, pcr.pub, release.pub")
	f.StringVar(&e.signatures, "signatures", "", "folder with the signatures so far")
	f.StringVar(&e.rootHash, "root-hash", "", "file with a root hash, for the verity key")
	f.StringArrayVar(&e.programs, "program", nil, "EFI program, for the Secure Boot key (repeatable)")
	f.StringVar(&e.sums, "sums", "", "SHA256SUMS, for the release key")
	f.StringVar(&e.out, "out", "", "folder to write to")
	e.epoch = epochFlag(c)
	return require(c, "public", "out")
}

// sign makes all that can be made with the signatures that are there, in out. An
// error wraps offline.ErrMissing when nothing else is wrong.
func (e *elsewhereFlags) sign(ctx context.Context, signatures *offline.Signatures, out string) error {
	key := sign.Elsewhere(signatures)
	public := func(role keys.Role) string { return filepath.Join(e.public, keys.PublicName(role)) }
	var work []func() error
	if e.rootHash != "" {
		work = append(work, func() error {
			cert, err := sign.ReadCertificate(public(keys.Verity))
			if err != nil {
				return err
			}
			return signVerity(ctx, e.rootHash, key, cert, filepath.Join(out, "signature"))
		})
	}
	for _, program := range e.programs {
		work = append(work, func() error {
			cert, err := sign.ReadCertificate(public(keys.SecureBoot))
			if err != nil {
				return err
			}
			return sign.Program(ctx, program, filepath.Join(out, filepath.Base(program)), key, cert)
		})
	}
	if e.image.normal != "" || e.image.kernel != "" {
		if e.image.normal == "" || e.image.kernel == "" {
			return usagef("--normal-form and --kernel are given together, with --plan, or not at all")
		}
		p, err := e.image.plan()
		if err != nil {
			return err
		}
		work = append(work, func() error {
			at, err := e.epoch()
			if err != nil {
				return err
			}
			cert, err := sign.ReadCertificate(public(keys.SecureBoot))
			if err != nil {
				return err
			}
			return e.image.sign(ctx, p, imageKeys{key, key, cert, public(keys.PCR)}, at, filepath.Join(out, "uki.efi"), filepath.Join(out, "pcrs.json"))
		})
	}
	if e.sums != "" {
		work = append(work, func() error { return e.signSums(signatures, public(keys.Release), out) })
	}
	if len(work) == 0 {
		return usagef("nothing is given to sign: --root-hash, --program, --normal-form or --sums")
	}
	var missing error
	for _, w := range work {
		if err := offline.Collect(&missing, w()); err != nil {
			return err
		}
	}
	return missing
}

func (e *elsewhereFlags) signSums(signatures *offline.Signatures, public, out string) error {
	text, err := os.ReadFile(e.sums)
	if err != nil {
		return err
	}
	armored, err := keys.ReadFile(public)
	if err != nil {
		return err
	}
	signature, err := sign.ReleaseElsewhere(text, signatures, armored)
	if err != nil {
		return err
	}
	return output.Bytes(filepath.Join(out, "SHA256SUMS.gpg"), signature)
}
