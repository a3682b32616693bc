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
	"github.com/mastercard/mangos/modules/image/plan"
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
		read           func() (*plan.Plan, error)
	)
	c := step("root", "make the root file system image from a configured tree", func(ctx context.Context) (err error) {
		p, err := read()
		if err != nil {
			return err
		}
		o.Name, o.Version = p.Name, p.Version
		if o.Epoch, err = epoch(); err != nil {
			return err
		}
		return rootfs.Build(ctx, o, image, release)
	})
	c.Flags().StringVar(&o.Tree, "tree", "", "folder with the configured packages")
	c.Flags().StringArrayVar(&o.Overlays, "overlay", nil, "folder to put over it (repeatable, in order)")
	read = planFlag(c)
	c.Flags().StringVar(&image, "out", "", "the image (root.erofs)")
	c.Flags().StringVar(&release, "os-release", "", "the os-release that is in it")
	epoch = epochFlag(c)
	return require(c, "tree", "plan", "out", "os-release")
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
		u     unsignedFlags
		epoch func() (int64, error)
		read  func() (*plan.Plan, error)
	)
	c := step("unsigned", "complete the unsigned set: initrd, command line, normal-form image, manifest", func(ctx context.Context) error {
		p, err := read()
		if err != nil {
			return err
		}
		at, err := epoch()
		if err != nil {
			return err
		}
		return u.make(ctx, p, at)
	})
	f := c.Flags()
	read = planFlag(c)
	f.StringVar(&u.root, "root", "", "root file system image")
	f.StringVar(&u.tree, "tree", "", "its hash tree")
	f.StringVar(&u.hash, "root-hash", "", "file with its root hash")
	f.StringVar(&u.release, "os-release", "", "its os-release")
	f.StringVar(&u.base, "initrd", "", "initrd")
	f.StringVar(&u.microcode, "microcode", "", "early archive of microcode, if the plan has it")
	f.StringVar(&u.kernel, "kernel", "", "folder of the kernel without certificate: vmlinux, bzImage, release, ranges.json")
	f.StringVar(&u.stub, "stub", defaultStub, "systemd-stub")
	f.StringVar(&u.bill, "sbom", "", "bill of materials, which belongs to the set (optional)")
	f.StringVar(&u.out, "out", "", "folder to write to")
	f.StringVar(&u.list, "manifest", "", "where to write the manifest (default unsigned.json in that folder)")
	epoch = epochFlag(c)
	return require(c, "plan", "root", "tree", "root-hash", "os-release", "initrd", "kernel", "stub", "out")
}

// unsignedFlags say what the unsigned set is made of.
type unsignedFlags struct {
	root, tree, hash, release, base, microcode, kernel string
	stub, out, list, bill                              string
}

func (u *unsignedFlags) in(name string) string { return filepath.Join(u.out, name) }

// make completes the set.
func (u *unsignedFlags) make(ctx context.Context, p *plan.Plan, epoch int64) error {
	if p.Microcode != (u.microcode != "") {
		return usagef("--microcode is given: %v; the plan has microcode: %v", u.microcode != "", p.Microcode)
	}
	rootHash, err := readRootHash(u.hash)
	if err != nil {
		return err
	}
	line, err := unified.CommandLine(rootHash, p.CommandLine)
	if err != nil {
		return err
	}
	if p.Firmware {
		if err := checkFirmware(filepath.Join(u.kernel, "vmlinux"), u.root, u.base, p.Without); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(u.out, 0o755); err != nil {
		return err
	}
	if err := output.Bytes(u.in(unsigned.CommandLine), []byte(line)); err != nil {
		return err
	}
	if err := appendCommandLine(u.base, u.in(unsigned.Initrd), line); err != nil {
		return err
	}
	parts := unified.Parts{
		Stub: u.stub, Kernel: filepath.Join(u.kernel, "bzImage"), Uname: filepath.Join(u.kernel, "release"),
		Initrd: u.in(unsigned.Initrd), Microcode: u.microcode, Release: u.release, CommandLine: u.in(unsigned.CommandLine),
	}
	if err := parts.Build(ctx, epoch, u.in(unsigned.UKI)); err != nil {
		return err
	}
	return u.describe(p, epoch, rootHash)
}

// describe writes the list of the set's files, which are there.
func (u *unsignedFlags) describe(p *plan.Plan, epoch int64, root verity.RootHash) error {
	files := map[string]string{
		unsigned.Root: u.root, unsigned.Tree: u.tree, unsigned.RootHash: u.hash, unsigned.OSRelease: u.release,
		unsigned.Vmlinux: filepath.Join(u.kernel, "vmlinux"), unsigned.BzImage: filepath.Join(u.kernel, "bzImage"),
		unsigned.Uname: filepath.Join(u.kernel, "release"),
	}
	for _, name := range []string{unsigned.Initrd, unsigned.CommandLine, unsigned.UKI} {
		files[name] = u.in(name)
	}
	for name, file := range map[string]string{unsigned.Microcode: u.microcode, unsigned.SBOM: u.bill} {
		if file != "" {
			files[name] = file
		}
	}
	m, err := unsigned.Describe(p.Name, p.Version, epoch, root, files, filepath.Join(u.kernel, "ranges.json"))
	if err != nil {
		return err
	}
	text, err := m.JSON()
	if err != nil {
		return err
	}
	list := u.list
	if list == "" {
		list = u.in(unsigned.ManifestName)
	}
	return output.Bytes(list, text)
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
