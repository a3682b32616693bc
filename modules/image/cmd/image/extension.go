package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/offline"
	"github.com/mastercard/mangos/modules/image/extension"
	"github.com/mastercard/mangos/modules/image/sign"
)

func extensionStep() *cobra.Command {
	var (
		o                extension.Options
		class, key, cert string
		have             string
		digests, out     string
		epoch            func() (int64, error)
	)
	c := step("extension", "make a signed extension image from a folder", func(ctx context.Context) (err error) {
		if o.Epoch, err = epoch(); err != nil {
			return err
		}
		certificate, err := sign.ReadCertificate(cert)
		if err != nil {
			return err
		}
		o.Class = extension.Class(class)
		switch {
		case digests != "" && key == "" && out == "":
			return extensionDigests(ctx, o, certificate, have, digests)
		case digests != "" || have != "" || key == "" || out == "":
			return usagef("give --key and --out, or --export-digests alone")
		}
		opened, err := openKey(key)
		if err != nil {
			return err
		}
		warn(certificate.IsTryOut())
		return extension.Build(ctx, o, opened, certificate, out)
	})
	f := c.Flags()
	f.StringVar(&o.Tree, "tree", "", "folder with the files, below etc/ or usr/")
	f.StringVar(&class, "class", "confext", "confext or sysext")
	f.StringVar(&o.Name, "name", "", "name of the extension")
	f.StringVar(&o.Purpose, "purpose", "", "what it is for: org, site or debug")
	f.Int64Var(&o.Counter, "counter", 0, "counter; a device refuses a lower one than it has seen")
	f.StringVar(&o.ID, "id", "mangos", "ID of the os-release of images that it is for")
	f.BoolVar(&o.Reload, "reload", false, "let systemd reload its units after merging")
	f.StringVar(&key, "key", "", "verity key"+keyHelp)
	f.StringVar(&cert, "certificate", "", "its certificate, PEM")
	f.StringVar(&have, "signatures", "", "with --export-digests: folder with the signatures so far")
	f.StringVar(&digests, "export-digests", "", "folder to write what a key elsewhere shall sign to, instead of the image")
	f.StringVar(&out, "out", "", "the extension image")
	epoch = epochFlag(c)
	return require(c, "tree", "class", "name", "purpose", "counter", "id", "certificate")
}

// extensionDigests writes what the verity key shall sign for an extension, and has not
// signed yet.
func extensionDigests(ctx context.Context, o extension.Options, cert *sign.Certificate, have, out string) error {
	signatures, err := offline.Open(have)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "extension-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	err = extension.Build(ctx, o, sign.Elsewhere(signatures), cert, filepath.Join(dir, "image"))
	if err != nil && !errors.Is(err, offline.ErrMissing) {
		return err
	}
	return exportDigests(out, signatures)
}
