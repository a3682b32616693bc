package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/disk"
	"github.com/mastercard/mangos/modules/image/output"
	"github.com/mastercard/mangos/modules/image/plan"
	"github.com/mastercard/mangos/modules/image/release"
	"github.com/mastercard/mangos/modules/image/sign"
)

// veritySet is a file system image with its tree and signature.
type veritySet struct{ root, tree, signature string }

func (v *veritySet) flags(c *cobra.Command) {
	c.Flags().StringVar(&v.root, "root", "", "root file system image")
	c.Flags().StringVar(&v.tree, "tree", "", "its hash tree")
	c.Flags().StringVar(&v.signature, "signature", "", "content of its signature partition")
}

// check makes sure that signature, tree and image belong together, and returns
// their root hash.
func (v *veritySet) check() (verity.RootHash, error) {
	content, err := os.ReadFile(v.signature)
	if err != nil {
		return verity.RootHash{}, err
	}
	signature, err := verity.ParseSignature(content)
	if err != nil {
		return verity.RootHash{}, fmt.Errorf("%s: %w", v.signature, err)
	}
	f, err := os.Open(v.tree)
	if err != nil {
		return verity.RootHash{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return verity.RootHash{}, err
	}
	tree, err := verity.Open(f, st.Size(), signature.Root)
	if err != nil {
		return verity.RootHash{}, fmt.Errorf("%s: %w", v.tree, err)
	}
	data, err := os.Open(v.root)
	if err != nil {
		return verity.RootHash{}, err
	}
	defer data.Close()
	if st, err = data.Stat(); err != nil {
		return verity.RootHash{}, err
	}
	if st.Size() != tree.Size() {
		return verity.RootHash{}, fmt.Errorf("%s has %d bytes, its tree covers %d", v.root, st.Size(), tree.Size())
	}
	if err := tree.Verify(data); err != nil {
		return verity.RootHash{}, fmt.Errorf("%s: %w", v.root, err)
	}
	return signature.Root, nil
}

// bootable is a disk image with all that it takes to boot from it.
type bootable struct {
	veritySet
	plan       *plan.Plan
	boot, uki  string
	tryOut     bool
	extensions map[string]string
}

// write writes the disk image to path, in whose folder it may work.
func (b *bootable) write(ctx context.Context, path string, root verity.RootHash, epoch int64) error {
	work := filepath.Dir(path)
	onESP := map[string]string{}
	for file, source := range b.extensions {
		onESP["mangos/extensions/"+file] = source
	}
	entry := release.Name(b.plan.Name, b.plan.Version, root, b.tryOut).Entry
	if b.plan.Tries > 0 {
		entry += "+" + strconv.Itoa(b.plan.Tries)
	}
	onESP["EFI/Linux/"+entry+".efi"] = b.uki
	onESP["EFI/BOOT/BOOTX64.EFI"] = b.boot
	onESP["loader/loader.conf"] = filepath.Join(work, "loader.conf")
	if err := os.WriteFile(onESP["loader/loader.conf"], []byte(loaderConf), 0o644); err != nil {
		return err
	}
	esp := filepath.Join(work, "esp")
	if err := disk.ESP(ctx, esp, b.plan.ESPSize, epoch, onESP); err != nil {
		return err
	}
	id, parts := disk.Bootable(root, b.plan.Name+"_"+b.plan.Version,
		[4]int64{b.plan.ESPSize, verity.SignatureSize, b.plan.VeritySize, b.plan.RootSize},
		[4]string{esp, b.signature, b.tree, b.root})
	return disk.Write(path, 512, id, parts)
}

func diskStep() *cobra.Command {
	var b bootable
	var read func() (*plan.Plan, error)
	var out, compressed string
	var extensions []string
	var epoch func() (int64, error)
	c := step("disk", "put the parts together to a bootable disk image", func(ctx context.Context) (err error) {
		if (out == "") == (compressed == "") {
			return usagef("one of --out and --compressed is needed")
		}
		if b.plan, err = read(); err != nil {
			return err
		}
		at, err := epoch()
		if err != nil {
			return err
		}
		root, err := b.check()
		if err != nil {
			return err
		}
		if b.extensions, err = pairs("extension", extensions); err != nil {
			return err
		}
		if out != "" {
			return output.Made(out, func(temporary string) error { return b.write(ctx, temporary, root, at) })
		}
		return output.Made(compressed, func(temporary string) error {
			raw := filepath.Join(filepath.Dir(temporary), "disk.raw")
			if err := b.write(ctx, raw, root, at); err != nil {
				return err
			}
			return release.Zstd(ctx, raw, temporary)
		})
	})
	f := c.Flags()
	b.flags(c)
	read = planFlag(c)
	f.StringVar(&b.boot, "boot-loader", "", "signed systemd-boot")
	f.StringVar(&b.uki, "uki", "", "signed unified kernel image")
	f.StringArrayVar(&extensions, "extension", nil, "NAME=FILE: put an extension image onto the EFI system partition (repeatable)")
	f.BoolVar(&b.tryOut, "try-out", false, "the image is signed with try-out keys")
	f.StringVar(&out, "out", "", "the disk image")
	f.StringVar(&compressed, "compressed", "", "the disk image, compressed with zstd")
	epoch = epochFlag(c)
	return require(c, "root", "tree", "signature", "plan", "boot-loader", "uki")
}

// loaderConf is the boot loader's configuration: it shows no menu, lets nobody
// edit a command line, and never enrols keys that it finds on the partition.
const loaderConf = `timeout 0
editor no
secure-boot-enroll off
`

func splitStep() *cobra.Command {
	var root, tree, hash, out string
	var read func() (*plan.Plan, error)
	c := step("split", "compress root and hash tree for updates", func(ctx context.Context) error {
		p, err := read()
		if err != nil {
			return err
		}
		rootHash, err := readRootHash(hash)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		names := release.Name(p.Name, p.Version, rootHash, false)
		if err := release.XZ(ctx, tree, filepath.Join(out, names.Tree)); err != nil {
			return err
		}
		return release.XZ(ctx, root, filepath.Join(out, names.Root))
	})
	c.Flags().StringVar(&root, "root", "", "root file system image")
	c.Flags().StringVar(&tree, "tree", "", "its hash tree")
	c.Flags().StringVar(&hash, "root-hash", "", "file with its root hash")
	read = planFlag(c)
	c.Flags().StringVar(&out, "out", "", "folder to write to")
	return require(c, "root", "tree", "root-hash", "plan", "out")
}

func namesStep() *cobra.Command {
	var hash, secureBoot, verity string
	var read func() (*plan.Plan, error)
	c := step("names", "print the names of a release's files, JSON", func(context.Context) error {
		p, err := read()
		if err != nil {
			return err
		}
		root, err := readRootHash(hash)
		if err != nil {
			return err
		}
		tryOut, err := areTryOut(secureBoot, verity)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(release.Name(p.Name, p.Version, root, tryOut))
	})
	read = planFlag(c)
	c.Flags().StringVar(&hash, "root-hash", "", "file with its root hash")
	c.Flags().StringVar(&secureBoot, "secure-boot", "", "Secure Boot certificate, PEM")
	c.Flags().StringVar(&verity, "verity", "", "verity certificate, PEM: both are of try-out keys, or none")
	return require(c, "plan", "root-hash", "secure-boot", "verity")
}

func areTryOut(files ...string) (bool, error) {
	var all []*sign.Certificate
	for _, file := range files {
		c, err := sign.ReadCertificate(file)
		if err != nil {
			return false, err
		}
		all = append(all, c)
	}
	return sign.AreTryOut(all...)
}

func sumsStep() *cobra.Command {
	var dir, out string
	c := step("sums", "write the checksums of a release's files", func(context.Context) error {
		text, err := release.Sums(dir)
		if err != nil {
			return err
		}
		return output.Bytes(out, text)
	})
	c.Flags().StringVar(&dir, "release", "", "folder of the release")
	c.Flags().StringVar(&out, "out", "", "SHA256SUMS")
	return require(c, "release", "out")
}
