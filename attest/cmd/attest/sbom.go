package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/gosum"
	"github.com/mastercard/mangos/attest/sbom"
	"github.com/mastercard/mangos/attest/sourceid"
	"github.com/mastercard/mangos/modules/debian/lock"
	"github.com/mastercard/mangos/modules/image/plan"
)

func newSBOM() *cobra.Command {
	var o sbomOptions
	c := &cobra.Command{
		Use:   "sbom",
		Short: "write an image's bill of materials, SPDX 2.3",
		Long: "Write the bill of materials of the parts of an image. Without --document it is the one that\n" +
			"the image itself holds; with it, that of the release, which lists that one too.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.ErrOrStderr()) },
	}
	o.flags(c)
	return c
}

// sbomOptions are the command's flags.
type sbomOptions struct {
	product        sbom.Product
	plan, lock     string
	sources, goSum string
	epoch, out     string
}

func (o *sbomOptions) flags(c *cobra.Command) {
	f, p := c.Flags(), &o.product
	f.StringVar(&o.plan, "plan", "", "what the definition says of the image (image plan)")
	f.StringVar(&o.epoch, "epoch", os.Getenv("SOURCE_DATE_EPOCH"), "date of the document, seconds since 1970 (default $SOURCE_DATE_EPOCH)")
	f.StringVar(&o.lock, "lock", "debian.lock.json", "the lock")
	f.StringVar(&o.sources, "sources", "", "identities of the sources (optional)")
	f.StringVar(&o.goSum, "go-sum", "", "go.sum, which must name every module of the programs (optional)")
	for _, l := range []struct {
		name   string
		layers *sbom.Layers
	}{{"root", &p.Root}, {"initrd", &p.Initrd}, {"microcode", &p.Microcode}} {
		f.StringVar(&l.layers.Tree, l.name, "", "folder with the packages of the "+l.name)
		if l.name != "root" {
			f.StringVar(&l.layers.Database, l.name+"-database", "", "folder that says which package each file is of")
		}
		if l.name != "microcode" {
			f.StringVar(&l.layers.Overlay, l.name+"-overlay", "", "folder laid over it (optional)")
			f.StringVar(&l.layers.Programs, l.name+"-programs", "", "folder with our programs, laid over that (optional)")
		}
	}
	f.StringVar(&p.Source, "source", "", "folder of the Go module that our programs were compiled from (optional)")
	f.StringVar(&p.Document, "document", "", "folder with the document of the image itself in its place, laid over the root")
	f.StringVar(&p.RootImage, "root-image", "", "the root's finished image (optional)")
	f.StringVar(&p.BootTree, "boot-tree", "/", "root of the file system that the boot programs are taken from")
	f.StringArrayVar(&p.Boot, "boot", nil, "boot program in it (repeatable)")
	f.StringVar(&p.KernelSource, "kernel-source", "linux", "source package that the kernel is compiled from")
	f.StringVar(&p.Kernel, "kernel", "", "folder of the kernel without certificate (optional)")
	f.StringVar(&o.out, "out", "", "file to write; compressed if its name ends in .zst")
	for _, name := range []string{"plan", "root", "initrd", "initrd-database", "out"} {
		cobra.CheckErr(c.MarkFlagRequired(name))
	}
}

// run writes the document, and says on log which sources could be known better.
func (o *sbomOptions) run(ctx context.Context, log io.Writer) error {
	p, err := plan.Load(o.plan)
	if err != nil {
		return err
	}
	o.product.Name, o.product.Version = p.Name, p.Version
	in := sbom.Input{Name: p.Name, Version: p.Version}
	if in.Epoch, err = strconv.ParseInt(o.epoch, 10, 64); err != nil || in.Epoch <= 0 {
		return usageError{fmt.Errorf("--epoch or SOURCE_DATE_EPOCH is %q, want seconds since 1970", o.epoch)}
	}
	if in.Lock, err = lock.Load(o.lock); err != nil {
		return err
	}
	if o.sources != "" {
		if in.Sources, err = sourceid.Load(o.sources); err != nil {
			return err
		}
	}
	if o.goSum != "" {
		if in.GoSum, err = gosum.Load(o.goSum); err != nil {
			return err
		}
	}
	for i, name := range o.product.Boot {
		o.product.Boot[i] = strings.TrimPrefix(name, "/")
	}
	o.product.Lock = in.Lock
	if in.Components, err = o.product.Components(ctx); err != nil {
		return err
	}
	doc, err := sbom.Build(in)
	if err != nil {
		return err
	}
	for _, gap := range sbom.Gaps(doc) {
		fmt.Fprintln(log, gap)
	}
	text, err := sbom.Encode(doc)
	if err != nil {
		return err
	}
	if filepath.Ext(o.out) == ".zst" {
		text = sbom.Compress(text)
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	return writeOut(o.out, text)
}

// writeOut writes a file that has its name only when it is complete.
func writeOut(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".attest-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
