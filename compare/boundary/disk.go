package boundary

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/content"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/vfat"
	"github.com/mastercard/mangos/modules/image/unsigned"
)

// Limits of what is read of an EFI system partition.
const (
	maxBootFiles = 1000
	maxBootBytes = 512 << 20
	maxBootDepth = 8
)

// partition finds the partition with a label.
func partition(t *gpt.Table, label string) (gpt.Partition, error) {
	for _, p := range t.Partitions {
		if p.Label == label {
			return p, nil
		}
	}
	return gpt.Partition{}, fmt.Errorf("the disk has no partition %q", label)
}

// what the disk image is called in reports.
const diskImage = "disk"

// openDisk opens the organisation's disk image, decompressed.
func (o *organisation) openDisk(ctx context.Context) error {
	name, err := o.one("*.raw.zst", "disk.raw")
	if err != nil {
		return err
	}
	f, err := content.Open(name)
	if err != nil {
		return err
	}
	algorithm, err := content.DetectAlgorithm(f)
	if err != nil || algorithm == content.None {
		o.disk = f
		return err
	}
	defer f.Close()
	packed, err := content.Decompress(f, algorithm)
	if err != nil {
		return err
	}
	o.disk, err = unpacked(ctx, packed)
	return err
}

// unpacked copies a content to a temporary file that has no name. What is zero is
// a hole there.
func unpacked(ctx context.Context, c content.Content) (*content.File, error) {
	f, err := os.CreateTemp("", "disk-")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer os.Remove(f.Name())
	buffer, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); at < c.Size(); at += int64(len(buffer)) {
		b := buffer[:min(int64(len(buffer)), c.Size()-at)]
		if err := errors.Join(ctx.Err(), content.ReadFull(c, b, at)); err != nil {
			return nil, err
		}
		if bytes.Equal(b, zeros[:len(b)]) {
			continue
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return nil, err
		}
	}
	if err := f.Truncate(c.Size()); err != nil {
		return nil, err
	}
	return content.Open(f.Name())
}

// checkDisk checks that root and hash tree on the disk are the set's, that its
// signature partition is the organisation's, and reads the boot partition.
func (o *organisation) checkDisk() error {
	table, err := gpt.Read(o.disk, o.disk.Size())
	if err != nil {
		return err
	}
	declared := o.set.manifest.Signing.Disk
	for _, p := range table.Partitions {
		part := content.Section(o.disk, p.Start, p.Size)
		what := fmt.Sprintf("%s partition %s", diskImage, p.Label)
		switch {
		case p.Label == declared.Signature:
			err = o.checkPartition(what, part, func() (*content.File, error) {
				name, err := o.one("*-verity-sig.*.raw")
				if err != nil {
					return nil, err
				}
				return content.Open(name)
			})
			if err == nil {
				o.keys["signature of the root hash"], err = content.ReadAll(part, 1<<20)
			}
		case p.Label == declared.Boot:
			o.boot, err = readBoot(part)
			if err == nil {
				o.checkBootImages()
			}
		case p.Type == gpt.TypeRoot:
			err = o.checkPartition(what, part, func() (*content.File, error) { return o.set.open(unsigned.Root) })
		case p.Type == gpt.TypeRootVerity:
			err = o.checkPartition(what, part, func() (*content.File, error) { return o.set.open(unsigned.Tree) })
		default:
			o.fail(what, "neither in the unsigned set nor declared")
		}
		if err != nil {
			return err
		}
	}
	for _, label := range []string{declared.Signature, declared.Boot} {
		if _, err := partition(table, label); err != nil {
			o.fail(diskImage, "%v", err)
		}
	}
	for _, kind := range []gpt.GUID{gpt.TypeRoot, gpt.TypeRootVerity} {
		if !slices.ContainsFunc(table.Partitions, func(p gpt.Partition) bool { return p.Type == kind }) {
			o.fail(diskImage, "it has no partition of type %s", kind)
		}
	}
	return nil
}

// checkPartition compares a partition with a file, behind which it is zero.
func (o *organisation) checkPartition(what string, part content.Content, open func() (*content.File, error)) error {
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Size() > part.Size() || f.Size() == 0 {
		o.fail(what, "%d bytes, its content should be %d", part.Size(), f.Size())
		return nil
	}
	at, err := content.FirstDifference(part, f)
	if err != nil {
		return err
	}
	if at < 0 {
		rest := content.Section(part, f.Size(), part.Size())
		if at, err = content.FirstDifference(rest, content.Zeros(rest.Size())); err != nil {
			return err
		}
		if at >= 0 {
			at += f.Size()
		}
	}
	if at >= 0 {
		o.fail(what, "byte %d differs from what it should hold", at)
		return nil
	}
	o.pass(what, "as it should be, %d bytes", f.Size())
	return nil
}

// readBoot reads the files of an EFI system partition.
func readBoot(part content.Content) (map[string][]byte, error) {
	volume, err := vfat.Open(part, part.Size())
	if err != nil {
		return nil, err
	}
	return volume.Files(vfat.Limits{Depth: maxBootDepth, Entries: maxBootFiles, Bytes: maxBootBytes})
}

// kindOf tells how a file of the boot partition may differ; "" for not at all.
func (o *organisation) kindOf(name string) string {
	for pattern, kind := range o.set.manifest.Signing.Disk.Files {
		// FAT does not tell upper from lower case.
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name)); err == nil && ok {
			return kind
		}
	}
	return ""
}

// checkBootImages checks that there is one unified kernel image on the boot
// partition: the organisation's.
func (o *organisation) checkBootImages() {
	found, same := 0, true
	for name, b := range o.boot {
		if o.kindOf(name) != unsigned.SignedImage {
			continue
		}
		found++
		if !bytes.Equal(b, o.image.Bytes()) {
			same = false
			o.fail(diskImage+" "+name, "differs from the organisation's %s", unsigned.UKI)
		}
	}
	switch {
	case found != 1:
		o.fail(diskImage, "%d unified kernel images on the boot partition, want one", found)
	case same:
		o.pass(diskImage+" "+unsigned.UKI, "the organisation's is on the boot partition")
	}
}

// compareDisks checks that two organisations' disks are the same outside of the
// declared partitions, and their boot partitions but for the declared files.
func (o *organisation) compareDisks(first *organisation) error {
	mine, other := o.disk, first.disk
	table, err := gpt.Read(mine, mine.Size())
	if err != nil {
		return err
	}
	if mine.Size() != other.Size() {
		o.fail(diskImage, "%d bytes, %s's has %d", mine.Size(), first.name, other.Size())
		return nil
	}
	declared := o.set.manifest.Signing.Disk
	start := int64(0)
	compared := int64(0)
	parts := slices.Clone(table.Partitions)
	slices.SortFunc(parts, func(a, b gpt.Partition) int { return cmp.Compare(a.Start, b.Start) })
	for _, p := range append(parts, gpt.Partition{Start: mine.Size(), Label: declared.Boot}) {
		if p.Label != declared.Boot && p.Label != declared.Signature {
			continue
		}
		n := p.Start - start
		at, err := content.FirstDifference(content.Section(mine, start, n), content.Section(other, start, n))
		if err != nil {
			return err
		}
		if at >= 0 {
			o.fail(diskImage, "byte %d differs from %s's, %s", start+at, first.name, outside(parts, start+at))
			return nil
		}
		compared += n
		start = p.Start + p.Size
	}
	o.pass(diskImage, "the same as %s's in the %d bytes outside of the partitions %s and %s", first.name, compared, declared.Boot, declared.Signature)
	return o.compareBoot(first)
}

// outside names the partition that an offset lies in.
func outside(parts []gpt.Partition, at int64) string {
	for _, p := range parts {
		if at >= p.Start && at < p.Start+p.Size {
			return fmt.Sprintf("in partition %s, which is not declared to differ", p.Label)
		}
	}
	return "outside of all partitions"
}

// compareBoot compares the files of two boot partitions.
func (o *organisation) compareBoot(first *organisation) error {
	names := maps.Clone(o.boot)
	maps.Copy(names, first.boot)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		what := diskImage + " " + name
		kind := o.kindOf(name)
		mine, ok := o.boot[name]
		other, ok2 := first.boot[name]
		switch {
		case kind == unsigned.Organisation, kind == unsigned.SignedImage: // held against uki.efi already
			continue
		case !ok || !ok2:
			o.fail(what, "on one of the two disks only")
		case kind == unsigned.SignedProgram:
			a, errA := bare(mine)
			b, errB := bare(other)
			switch {
			case errA != nil:
				o.fail(what, "%v", errA)
			case errB != nil:
				o.fail(what, "%s's: %v", first.name, errB)
			case !bytes.Equal(a, b):
				at := differs(a, b)
				o.fail(what, "byte %d differs from %s's, in %s, outside of the certificate table", at, first.name, where(a, at))
			default:
				o.pass(what, "the same as %s's but for the certificate table", first.name)
			}
		case !bytes.Equal(mine, other):
			o.fail(what, "byte %d differs from %s's, and the file is not declared to", differs(mine, other), first.name)
		default:
			o.pass(what, "the same as %s's", first.name)
		}
	}
	return nil
}
