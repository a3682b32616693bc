package disk

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/modules/image/output"
)

// Part is a partition and the file with its content.
type Part struct {
	gpt.Partition
	// Source is the content; what the partition has beyond it is zero.
	Source string
}

// VerityParts returns the three partitions of a file system that dm-verity
// protects, as the Discoverable Partitions Specification wants them: signature,
// hash tree and data, the identifiers of the last two being the halves of the
// root hash, all read-only. Labels are for the three in that order. Sizes of
// zero stand for the size of the content.
func VerityParts(root verity.RootHash, labels [3]string, sizes [3]int64, sources [3]string) []Part {
	var dataID, treeID gpt.GUID
	copy(dataID[:], root[:16])
	copy(treeID[:], root[16:])
	ids := [3]gpt.GUID{gpt.DeriveGUID("mangos verity signature", root.String()), treeID, dataID}
	types := [3]gpt.GUID{gpt.TypeRootVeritySig, gpt.TypeRootVerity, gpt.TypeRoot}
	parts := make([]Part, 3)
	for i := range parts {
		parts[i] = Part{Source: sources[i], Partition: gpt.Partition{
			Type: types[i], ID: ids[i], Label: labels[i], Size: sizes[i], Attributes: gpt.ReadOnly,
		}}
	}
	return parts
}

// Bootable returns the identifier and the partitions of a disk with an image: the EFI
// system partition and those of the root file system. label is the image's, of which
// those of the root's partitions are made. Sizes and sources are for the partitions in
// their order.
func Bootable(root verity.RootHash, label string, sizes [4]int64, sources [4]string) (id gpt.GUID, parts []Part) {
	esp := Part{Source: sources[0], Partition: gpt.Partition{
		Type: gpt.TypeESP, ID: gpt.DeriveGUID("mangos EFI system partition", root.String()), Label: "esp", Size: sizes[0],
	}}
	rest := VerityParts(root, [3]string{label + "_verity_sig", label + "_verity", label}, [3]int64(sizes[1:]), [3]string(sources[1:]))
	return gpt.DeriveGUID("mangos disk", root.String()), append([]Part{esp}, rest...)
}

// Write writes a disk image with these partitions, one after another, as a
// sparse file with sectors of sectorSize bytes. id identifies the disk. Where a
// partition's size is zero it becomes that of its content.
func Write(out string, sectorSize int64, id gpt.GUID, parts []Part) error {
	table := gpt.Table{SectorSize: sectorSize, DiskID: id}
	for _, p := range parts {
		st, err := os.Stat(p.Source)
		if err != nil {
			return fmt.Errorf("disk: partition %q: %w", p.Label, err)
		}
		if p.Size == 0 {
			p.Size = st.Size()
		}
		if st.Size() == 0 || st.Size() > p.Size {
			return fmt.Errorf("disk: partition %q has room for %d bytes, its content has %d: %w", p.Label, p.Size, st.Size(), ErrDisk)
		}
		table.Partitions = append(table.Partitions, p.Partition)
		table.Partitions[len(table.Partitions)-1].Size = p.Size
	}
	table.Layout()
	f, err := output.Create(out)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := f.Truncate(table.DiskSize); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	if err := table.Write(f); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	for i, p := range parts {
		if err := copySparse(f, table.Partitions[i].Start, p.Source); err != nil {
			return fmt.Errorf("disk: partition %q: %w", p.Label, err)
		}
	}
	return f.Commit()
}

// copySparse copies a file to an offset of w, but leaves out holes and blocks of
// zeros: what is not written is a hole.
func copySparse(w io.WriterAt, offset int64, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for at := int64(0); at < st.Size(); {
		from, err := f.Seek(at, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO):
			return nil // nothing but a hole is left
		case err != nil:
			// Not every file system knows of holes.
			from = at
		}
		n, err := f.ReadAt(buf, from)
		if err := writeData(w, buf[:n], offset+from); err != nil {
			return err
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%s shrank while it was read: %w", path, ErrDisk)
		}
		at = from + int64(n)
	}
	return nil
}

// writeData writes b, block by block, but for blocks of zeros.
func writeData(w io.WriterAt, b []byte, at int64) error {
	const block = 64 << 10
	for len(b) > 0 {
		k := min(len(b), block)
		if !bytes.Equal(b[:k], zeros[:k]) {
			if _, err := w.WriteAt(b[:k], at); err != nil {
				return err
			}
		}
		at, b = at+int64(k), b[k:]
	}
	return nil
}

var zeros [64 << 10]byte

// Digest returns the SHA-256 and the size of a file.
func Digest(path string) (sum [sha256.Size]byte, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	copy(sum[:], h.Sum(nil))
	return sum, size, err
}
