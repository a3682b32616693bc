package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/image/extension"
	"github.com/mastercard/mangos/modules/image/sign"
)

func extensionStep() *cobra.Command {
	var (
		o                     extension.Options
		class, key, cert, out string
		epoch                 func() (int64, error)
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
		opened, err := sign.OpenKey(key)
		if err != nil {
			return err
		}
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
	f.StringVar(&out, "out", "", "the extension image")
	epoch = epochFlag(c)
	return require(c, "tree", "class", "name", "purpose", "counter", "id", "key", "certificate", "out")
}
