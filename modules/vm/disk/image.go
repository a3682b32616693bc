package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mastercard/mangos/format/erofs"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
)

var (
	// ErrPartition says that the disk has not exactly one partition of a type.
	ErrPartition = errors.New("no such single partition")
	// ErrNotFound says that the file system has no such file with data of its own.
	ErrNotFound = errors.New("no such file data")
)

// Image is a disk image that may be changed. Close it before a machine uses it.
type Image struct {
	Path  string
	file  *os.File
	table *gpt.Table
}

// Open opens the raw disk image at path for changing.
func Open(path string) (*Image, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open image: %w", err)
	}
	t, err := gpt.Read(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open image %s: %w", path, err)
	}
	return &Image{Path: path, file: f, table: t}, nil
}

// Close closes the image.
func (i *Image) Close() error { return i.file.Close() }

// Partition returns the one partition of this type.
func (i *Image) Partition(kind gpt.GUID) (gpt.Partition, error) {
	var found []gpt.Partition
	for _, p := range i.table.Partitions {
		if p.Type == kind {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return gpt.Partition{}, fmt.Errorf("%w: %d of type %s", ErrPartition, len(found), kind)
	}
	return found[0], nil
}

// Append makes the disk larger by a partition, which gets p's size, and writes content to it.
func (i *Image) Append(p gpt.Partition, content io.Reader) error {
	end := int64(0)
	for _, q := range i.table.Partitions {
		end = max(end, q.Start+q.Size)
	}
	p.Start = (end + gpt.Align - 1) / gpt.Align * gpt.Align
	// Room for the copy of the table, up to the next whole MiB.
	size := max((p.Start+p.Size)/gpt.Align*gpt.Align+2*gpt.Align, i.table.DiskSize)
	if err := i.file.Truncate(size); err != nil {
		return fmt.Errorf("append partition: %w", err)
	}
	i.table.DiskSize = size
	i.table.Partitions = append(i.table.Partitions, p)
	if err := i.table.Write(i.file); err != nil {
		return fmt.Errorf("append partition: %w", err)
	}
	if _, err := io.Copy(io.NewOffsetWriter(i.file, p.Start), io.LimitReader(content, p.Size)); err != nil {
		return fmt.Errorf("append partition: %w", err)
	}
	return nil
}

// Flip changes one bit of the byte at offset.
func (i *Image) Flip(offset int64) error {
	var b [1]byte
	if _, err := i.file.ReadAt(b[:], offset); err != nil {
		return fmt.Errorf("flip byte %d: %w", offset, err)
	}
	b[0] ^= 0x10
	if _, err := i.file.WriteAt(b[:], offset); err != nil {
		return fmt.Errorf("flip byte %d: %w", offset, err)
	}
	return nil
}

// Data returns the offset on the disk, in bytes, of a byte that stands for the beginning
// of the file's content in the root file system, symbolic links followed. It lies in the
// middle of the first run of stored bytes, whatever their encoding.
func (i *Image) Data(path string) (int64, error) {
	p, err := i.Partition(gpt.TypeRoot)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", path, err)
	}
	img, err := erofs.Open(io.NewSectionReader(i.file, p.Start, p.Size), p.Size)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", path, err)
	}
	inode, err := walk(img, path)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", path, err)
	}
	for e, err := range inode.Extents() {
		if err != nil {
			return 0, fmt.Errorf("find %s: %w", path, err)
		}
		if e.Stored > 0 {
			return p.Start + e.Physical + e.Stored/2, nil
		}
	}
	return 0, fmt.Errorf("find %s: %w", path, ErrNotFound)
}

// walk follows path from the root of img.
func walk(img *erofs.Image, path string) (*erofs.Inode, error) {
	const maxLinks = 40
	inode, err := img.Root()
	if err != nil {
		return nil, err
	}
	left := parts(path)
	parents := []*erofs.Inode{}
	for links := 0; len(left) > 0; {
		name := left[0]
		left = left[1:]
		if name == ".." {
			if n := len(parents); n > 0 {
				inode, parents = parents[n-1], parents[:n-1]
			}
			continue
		}
		next, err := child(img, inode, name)
		if err != nil {
			return nil, err
		}
		if !next.IsSymlink() {
			parents, inode = append(parents, inode), next
			continue
		}
		if links++; links > maxLinks {
			return nil, fmt.Errorf("%w: too many links", ErrNotFound)
		}
		target, err := next.Readlink()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(target, "/") && len(parents) > 0 {
			inode, parents = parents[0], nil
		}
		left = append(parts(target), left...)
	}
	return inode, nil
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

func child(img *erofs.Image, dir *erofs.Inode, name string) (*erofs.Inode, error) {
	if !dir.IsDir() {
		return nil, fmt.Errorf("%w: %s below a file", ErrNotFound, name)
	}
	entries, err := dir.ReadDir()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name == name {
			return img.Inode(e.NID)
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
}

// Hash returns the offset on the disk of the digest, in the lowest level of the hash tree,
// of the root file system's block at offset.
func (i *Image) Hash(offset int64) (int64, error) {
	root, err := i.Partition(gpt.TypeRoot)
	if err != nil {
		return 0, fmt.Errorf("find hash: %w", err)
	}
	tree, err := i.Partition(gpt.TypeRootVerity)
	if err != nil {
		return 0, fmt.Errorf("find hash: %w", err)
	}
	header := make([]byte, verity.BlockSize)
	if _, err := i.file.ReadAt(header, tree.Start); err != nil {
		return 0, fmt.Errorf("find hash: %w", err)
	}
	sb, err := verity.ParseSuperblock(header)
	if err != nil {
		return 0, fmt.Errorf("find hash: %w", err)
	}
	block := (offset - root.Start) / verity.BlockSize
	if offset < root.Start || block >= sb.DataBlocks {
		return 0, fmt.Errorf("find hash: byte %d is not in the root file system", offset)
	}
	// The lowest level is the last one of the tree.
	const perBlock = verity.BlockSize / verity.HashSize
	size, err := verity.TreeSize(sb.DataBlocks * verity.BlockSize)
	if err != nil {
		return 0, fmt.Errorf("find hash: %w", err)
	}
	lowest := (sb.DataBlocks + perBlock - 1) / perBlock * verity.BlockSize
	return tree.Start + size - lowest + block*verity.HashSize, nil
}

// Block returns the number of the root file system's block at offset, or of its hash
// tree's, as dm-verity counts them: from the beginning of their partitions.
func (i *Image) Block(offset int64) (n int64, isHash bool, err error) {
	for _, kind := range []gpt.GUID{gpt.TypeRoot, gpt.TypeRootVerity} {
		p, err := i.Partition(kind)
		if err != nil {
			return 0, false, fmt.Errorf("find block: %w", err)
		}
		if offset >= p.Start && offset < p.Start+p.Size {
			return (offset - p.Start) / verity.BlockSize, kind == gpt.TypeRootVerity, nil
		}
	}
	return 0, false, fmt.Errorf("find block: byte %d is neither in the root file system nor in its hash tree", offset)
}

// Signature reads the signature partition of the root file system.
func (i *Image) Signature() (*verity.Signature, error) {
	p, err := i.Partition(gpt.TypeRootVeritySig)
	if err != nil {
		return nil, fmt.Errorf("read signature: %w", err)
	}
	b := make([]byte, verity.SignatureSize)
	if _, err := i.file.ReadAt(b, p.Start); err != nil {
		return nil, fmt.Errorf("read signature: %w", err)
	}
	return verity.ParseSignature(b)
}

// SetSignature replaces the content of the signature partition; nil leaves zeros.
func (i *Image) SetSignature(s *verity.Signature) error {
	p, err := i.Partition(gpt.TypeRootVeritySig)
	if err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	b := make([]byte, p.Size)
	if s != nil {
		encoded, err := s.Encode()
		if err != nil {
			return fmt.Errorf("write signature: %w", err)
		}
		if len(encoded) > len(b) {
			return fmt.Errorf("write signature: %d bytes into a partition of %d", len(encoded), len(b))
		}
		copy(b, encoded)
	}
	if _, err := i.file.WriteAt(b, p.Start); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	return nil
}
