package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/firmware"
	"github.com/mastercard/mangos/modules/image/initrd"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/rootfs"
	"github.com/mastercard/mangos/modules/image/unified"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// defaultStub is where Debian keeps systemd-stub.
const defaultStub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// The steps in this file make the unsigned set: no key has a part in it.

func rootStep() *cobra.Command {
	var (
		o              rootfs.Options
		image, release string
		epoch          func() (int64, error)
	)
	c := step("root", "make the root file system image from a configured tree", func(ctx context.Context) (err error) {
		if err := rootfs.CheckVersion(o.Name, o.Version); err != nil {
			return err
		}
		if o.Epoch, err = epoch(); err != nil {
			return err
		}
		return rootfs.Build(ctx, o, image, release)
	})
	c.Flags().StringVar(&o.Tree, "tree", "", "folder with the configured packages")
	c.Flags().StringArrayVar(&o.Overlays, "overlay", nil, "folder to put over it (repeatable, in order)")
	c.Flags().StringVar(&o.Name, "name", "mangos", "name of the image")
	c.Flags().StringVar(&o.Version, "version", "", "its version")
	c.Flags().StringVar(&image, "out", "", "the image (root.erofs)")
	c.Flags().StringVar(&release, "os-release", "", "the os-release that is in it")
	epoch = epochFlag(c)
	return require(c, "tree", "name", "version", "out", "os-release")
}

func verityStep() *cobra.Command {
	var root, tree, hash string
	c := step("verity", "make the hash tree of a file system image", func(context.Context) error {
		f, err := os.Open(root)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		t, err := verity.Build(f, st.Size(), verity.Salt())
		if err != nil {
			return fmt.Errorf("%s: %w", root, err)
		}
		if err := output.Bytes(tree, t.Bytes()); err != nil {
			return err
		}
		return output.Bytes(hash, []byte(t.Root.String()+"\n"))
	})
	c.Flags().StringVar(&root, "root", "", "the file system image")
	c.Flags().StringVar(&tree, "tree", "", "the hash tree to write (root.verity)")
	c.Flags().StringVar(&hash, "root-hash", "", "the root hash to write, as text")
	return require(c, "root", "tree", "root-hash")
}

// readRootHash reads the file that the verity step writes.
func readRootHash(path string) (verity.RootHash, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return verity.RootHash{}, err
	}
	root, err := verity.ParseRootHash(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return root, fmt.Errorf("%s: %w", path, err)
	}
	return root, nil
}

func initrdStep() *cobra.Command {
	var (
		o   initrd.Options
		out string
	)
	c := step("initrd", "make the initrd from unpacked packages", func(ctx context.Context) error {
		return initrd.Build(ctx, o, out)
	})
	c.Flags().StringVar(&o.Tree, "tree", "", "folder with the unpacked packages")
	c.Flags().StringArrayVar(&o.Overlays, "overlay", nil, "folder to put over it (repeatable, in order)")
	c.Flags().StringVar(&out, "out", "", "the initrd")
	return require(c, "tree", "out")
}

func microcodeStep() *cobra.Command {
	var tree, out string
	c := step("microcode", "make the early archive of processor microcode", func(context.Context) error {
		return output.Write(out, func(w io.Writer) error { return initrd.Microcode(w, tree) })
	})
	c.Flags().StringVar(&tree, "tree", "", "folder with the unpacked microcode packages")
	c.Flags().StringVar(&out, "out", "", "the archive")
	return require(c, "tree", "out")
}

func unsignedStep() *cobra.Command {
	var (
		name, version                                  string
		root, tree, hash, release, base, ucode, kernel string
		text, stub, out, list, bill                    string
		epoch                                          func() (int64, error)
	)
	var without []string
	var withFirmware bool
	c := step("unsigned", "complete the unsigned set: initrd, command line, normal-form image, manifest", func(ctx context.Context) error {
		if err := rootfs.CheckVersion(name, version); err != nil {
			return err
		}
		at, err := epoch()
		if err != nil {
			return err
		}
		rootHash, err := readRootHash(hash)
		if err != nil {
			return err
		}
		line, err := unified.CommandLine(rootHash, text)
		if err != nil {
			return err
		}
		if withFirmware {
			if err := checkFirmware(filepath.Join(kernel, "vmlinux"), root, base, without); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		in := func(name string) string { return filepath.Join(out, name) }
		if err := output.Bytes(in(unsigned.CommandLine), []byte(line)); err != nil {
			return err
		}
		if err := appendCommandLine(base, in(unsigned.Initrd), line); err != nil {
			return err
		}
		parts := unified.Parts{
			Stub: stub, Kernel: filepath.Join(kernel, "bzImage"), Uname: filepath.Join(kernel, "release"),
			Initrd: in(unsigned.Initrd), Microcode: ucode, Release: release, CommandLine: in(unsigned.CommandLine),
		}
		if err := parts.Build(ctx, at, in(unsigned.UKI)); err != nil {
			return err
		}
		files := map[string]string{
			unsigned.Root: root, unsigned.Tree: tree, unsigned.RootHash: hash, unsigned.OSRelease: release,
			unsigned.Vmlinux: filepath.Join(kernel, "vmlinux"), unsigned.BzImage: parts.Kernel, unsigned.Uname: parts.Uname,
			unsigned.Initrd: parts.Initrd, unsigned.CommandLine: parts.CommandLine, unsigned.UKI: in(unsigned.UKI),
		}
		if ucode != "" {
			files[unsigned.Microcode] = ucode
		}
		if bill != "" {
			files[unsigned.SBOM] = bill
		}
		m, err := unsigned.Describe(name, version, at, rootHash, files, filepath.Join(kernel, "ranges.json"))
		if err != nil {
			return err
		}
		manifest, err := m.JSON()
		if err != nil {
			return err
		}
		if list == "" {
			list = in(unsigned.ManifestName)
		}
		return output.Bytes(list, manifest)
	})
	f := c.Flags()
	f.StringVar(&name, "name", "mangos", "name of the image")
	f.StringVar(&version, "version", "", "its version")
	f.StringVar(&root, "root", "", "root file system image")
	f.StringVar(&tree, "tree", "", "its hash tree")
	f.StringVar(&hash, "root-hash", "", "file with its root hash")
	f.StringVar(&release, "os-release", "", "its os-release")
	f.StringVar(&base, "initrd", "", "initrd")
	f.StringVar(&ucode, "microcode", "", "early archive of microcode (optional)")
	f.StringVar(&kernel, "kernel", "", "folder of the kernel without certificate: vmlinux, bzImage, release, ranges.json")
	f.StringVar(&text, "cmdline", "", "built-in kernel command line, without roothash=")
	f.StringVar(&stub, "stub", defaultStub, "systemd-stub")
	f.StringVar(&bill, "sbom", "", "bill of materials, which belongs to the set (optional)")
	f.BoolVar(&withFirmware, "firmware", false, "make sure that root and initrd hold the firmware that the kernel asks for")
	f.StringArrayVar(&without, "without", nil, "name of firmware that is left out knowingly (repeatable)")
	f.StringVar(&out, "out", "", "folder to write to")
	f.StringVar(&list, "manifest", "", "where to write the manifest (default unsigned.json in that folder)")
	epoch = epochFlag(c)
	return require(c, "name", "version", "root", "tree", "root-hash", "os-release", "initrd", "kernel", "cmdline", "stub", "out")
}

// checkFirmware compares the firmware in root and initrd with what the kernel asks
// for.
func checkFirmware(vmlinux, root, base string, without []string) error {
	kernel, err := os.ReadFile(vmlinux)
	if err != nil {
		return err
	}
	asked, err := firmware.Asked(kernel)
	if err != nil {
		return fmt.Errorf("%s: %w", vmlinux, err)
	}
	f, err := os.Open(base)
	if err != nil {
		return err
	}
	defer f.Close()
	early, err := firmware.InInitrd(f)
	if err != nil {
		return fmt.Errorf("%s: %w", base, err)
	}
	image, err := os.Open(root)
	if err != nil {
		return err
	}
	defer image.Close()
	st, err := image.Stat()
	if err != nil {
		return err
	}
	late, err := firmware.InRoot(image, st.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", root, err)
	}
	fmt.Fprintf(os.Stderr, "image: the kernel asks for %d files of firmware, %d of them are left out\n", len(asked), len(without))
	return errors.Join(firmware.Check("initrd", asked, without, early), firmware.Check("root", asked, without, late))
}

func appendCommandLine(base, out, line string) error {
	f, err := os.Open(base)
	if err != nil {
		return err
	}
	defer f.Close()
	return output.Write(out, func(w io.Writer) error { return initrd.Append(w, f, line) })
}
