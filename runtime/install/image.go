package install

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
)

// ErrImage: the disk image is not what the manifest promises.
var ErrImage = errors.New("not the disk image of the release")

const (
	// headSize is what is held back of the disk until all else is on it.
	headSize = 1 << 20
	// maxTree bounds the size of the hash tree, which is held in memory: 8 GiB
	// of root.
	maxTree = 64 << 20
	// chunk is how much is written at once.
	chunk = 1 << 20
)

// layout is the disk image by its partition table, in the order of the disk.
type layout struct {
	table                *gpt.Table
	esp, sig, tree, root gpt.Partition
}

// parseHead reads the partition table from the image's first headSize bytes: an
// ESP, and one slot with the root, hash tree before root. Nothing of it is to be
// believed but what root vouches for. Errors wrap ErrImage.
func parseHead(head []byte, root verity.RootHash) (*layout, error) {
	size, err := imageSize(head)
	if err != nil {
		return nil, err
	}
	// The second copy of the table is not in the head: only the first counts.
	t, err := gpt.Current(bytes.NewReader(head), size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	l := &layout{table: t}
	end := int64(headSize)
	for _, p := range t.Partitions {
		var place *gpt.Partition
		switch p.Type {
		case gpt.TypeESP:
			place = &l.esp
		case gpt.TypeRootVeritySig:
			place = &l.sig
		case gpt.TypeRootVerity:
			place = &l.tree
		case gpt.TypeRoot:
			place = &l.root
		}
		if place == nil || place.Size != 0 || p.Start < end || p.Start%gpt.Align != 0 || p.Size%verity.BlockSize != 0 {
			return nil, fmt.Errorf("%w: partition %d (%.40q) is not one of an ESP and a slot, in their order", ErrImage, p.Number, p.Label)
		}
		*place, end = p, p.Start+p.Size
	}
	switch {
	case l.esp.Size == 0 || l.sig.Size == 0 || l.tree.Size == 0 || l.root.Size == 0 || l.tree.Start > l.root.Start:
		return nil, fmt.Errorf("%w: a partition is missing, or the hash tree does not lie before the root", ErrImage)
	case l.sig.Size != verity.SignatureSize || l.tree.Size > maxTree || l.root.Size > verity.MaxDataSize:
		return nil, fmt.Errorf("%w: a partition has an unusual size", ErrImage)
	case l.root.ID != gpt.GUID(root[:16]) || l.tree.ID != gpt.GUID(root[16:]):
		return nil, fmt.Errorf("%w: its root is another", ErrImage)
	}
	return l, nil
}

// imageSize is the size of a disk image by its partition table's header.
func imageSize(head []byte) (int64, error) {
	const alternate = 32 // offset of AlternateLBA, UEFI 2.10, table 5.5
	for _, sector := range []int64{512, 4096} {
		h := head[sector:]
		if string(h[:8]) != "EFI PART" {
			continue
		}
		if last := binary.LittleEndian.Uint64(h[alternate:]); last < 1<<40 {
			return int64(last+1) * sector, nil
		}
	}
	return 0, fmt.Errorf("%w: it has no partition table", ErrImage)
}

// sections gives where the parts of an image go: from the byte Start of the disk
// on, Size bytes. What is written there is checked before, but for the ESP.
type sections func(p gpt.Partition) io.Writer

// copyImage reads a disk image and writes its parts: signature and hash tree
// whole after they were checked, and of the root each block after it was checked
// against the tree. It reads to the image's end. It returns the tree.
func copyImage(image io.Reader, l *layout, root verity.RootHash, to sections) (*verity.Tree, error) {
	var tree *verity.Tree
	at := int64(headSize)
	for _, p := range l.table.Partitions {
		if _, err := io.CopyN(io.Discard, image, p.Start-at); err != nil {
			return nil, cutOff(err)
		}
		at = p.Start + p.Size
		part := &io.LimitedReader{R: image, N: p.Size}
		var err error
		switch p.Type {
		case gpt.TypeESP:
			err = copyESP(part, p, to)
		case gpt.TypeRootVeritySig:
			err = copySignature(part, p, root, to)
		case gpt.TypeRootVerity:
			tree, err = copyTree(part, p, root, to)
		case gpt.TypeRoot:
			err = copyRoot(part, p, tree, to)
		}
		if err == nil && part.N > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("partition %.40q: %w", p.Label, cutOff(err))
		}
	}
	if n, err := io.Copy(io.Discard, image); err != nil || at+n != l.table.DiskSize {
		return nil, errors.Join(err, fmt.Errorf("%w: it has %d bytes, its table says %d", ErrImage, at+n, l.table.DiskSize))
	}
	return tree, nil
}

// cutOff names an end that came too early.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", ErrImage)
	}
	return err
}

// copyESP writes whole chunks, whatever the pieces in which they come.
func copyESP(r io.Reader, p gpt.Partition, to sections) error {
	buffer := bufio.NewWriterSize(onlyWriter{to(p)}, chunk)
	_, err := io.CopyBuffer(onlyWriter{buffer}, r, make([]byte, chunk))
	return errors.Join(err, buffer.Flush())
}

func copySignature(r io.Reader, p gpt.Partition, root verity.RootHash, to sections) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s, err := verity.ParseSignature(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrImage, err)
	}
	if s.Root != root {
		return fmt.Errorf("%w: the signature is for another root", ErrImage)
	}
	_, err = to(p).Write(raw)
	return err
}

func copyTree(r io.Reader, p gpt.Partition, root verity.RootHash, to sections) (*verity.Tree, error) {
	tree, err := verity.Open(r, p.Size, root)
	if err != nil {
		return nil, err
	}
	p.Size = int64(len(tree.Bytes()))
	_, err = to(p).Write(tree.Bytes())
	return tree, err
}

// copyRoot passes on what the tree covers. What the partition has beyond it must
// be zero; nobody reads that.
func copyRoot(r *io.LimitedReader, p gpt.Partition, tree *verity.Tree, to sections) error {
	if tree.Size() > p.Size {
		return fmt.Errorf("%w: the hash tree covers %d bytes, the root has %d", ErrImage, tree.Size(), p.Size)
	}
	p.Size = tree.Size()
	// The blocks are checked one by one, and written many at once.
	buffer := bufio.NewWriterSize(onlyWriter{to(p)}, chunk)
	v := tree.Writer(buffer)
	if _, err := io.CopyBuffer(onlyWriter{v}, io.LimitReader(r, p.Size), make([]byte, chunk)); err != nil {
		return err
	}
	if err := errors.Join(v.Close(), buffer.Flush()); err != nil {
		return err
	}
	return readZeros(r)
}

// onlyWriter hides what else a writer can do: copying goes by the buffer given.
type onlyWriter struct{ io.Writer }

func readZeros(r io.Reader) error {
	buf := make([]byte, chunk)
	for {
		n, err := r.Read(buf)
		if !isZero(buf[:n]) {
			return fmt.Errorf("%w: there is something behind the root", ErrImage)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
