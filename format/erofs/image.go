package erofs

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

// Image is an opened EROFS image. It may be used by several goroutines.
type Image struct {
	super    *Superblock
	data     io.ReaderAt
	size     int64
	meta     metadataCache
	prefixes []xattrPrefix

	packedOnce sync.Once
	packed     *Inode
	packedErr  error
}

// Open reads the superblock of the image that is size bytes long. The image
// keeps reading from r until it is dropped; r is never closed.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	super, err := readSuperblock(r, size)
	if err != nil {
		return nil, fmt.Errorf("open erofs image: %w", err)
	}
	img := &Image{super: super, data: r, size: size}
	img.meta.source, img.meta.size = r, size
	if err := img.readPrefixes(); err != nil {
		return nil, fmt.Errorf("open erofs image: %w", err)
	}
	return img, nil
}

// Superblock is the image's superblock.
func (img *Image) Superblock() Superblock { return *img.super }

// Size is the number of bytes that the superblock claims, which may be less
// than what follows it in a partition, or more if the image is cut off.
func (img *Image) Size() int64 { return int64(img.super.Blocks) << img.super.BlockBits }

// Root is the root directory.
func (img *Image) Root() (*Inode, error) { return img.Inode(img.super.RootNID) }

// readMeta fills b with metadata at the absolute offset off.
func (img *Image) readMeta(b []byte, off int64) error {
	if off < 0 || off+int64(len(b)) > img.size {
		return fmt.Errorf("%w: metadata at %d lies outside the image", ErrCorrupt, off)
	}
	return img.meta.read(b, off)
}

// ReadRaw fills b with the image's own bytes at off: the encoded form of an
// [Extent].
func (img *Image) ReadRaw(b []byte, off int64) error {
	if off < 0 || off+int64(len(b)) > img.size {
		return fmt.Errorf("%w: data at %d lies outside the image", ErrCorrupt, off)
	}
	if _, err := img.data.ReadAt(b, off); err != nil && err != io.EOF {
		return fmt.Errorf("read image at %d: %w", off, err)
	}
	return nil
}

// fragments is the hidden inode that holds packed tails and small files.
func (img *Image) fragments() (*Inode, error) {
	img.packedOnce.Do(func() {
		if !img.super.has(featFragments) || img.super.PackedNID == 0 {
			img.packedErr = fmt.Errorf("%w: a fragment, but no packed inode", ErrCorrupt)
			return
		}
		img.packed, img.packedErr = img.Inode(img.super.PackedNID)
		if img.packedErr == nil && !img.packed.IsRegular() {
			img.packedErr = fmt.Errorf("%w: the packed inode is not a file", ErrCorrupt)
		}
	})
	return img.packed, img.packedErr
}

const (
	metaBlock  = 16 << 10
	metaBlocks = 512 // 8 MiB for each image
)

// metadataCache keeps recently read metadata, so that walking inodes and
// cluster indexes of a few bytes each does not cost a system call each.
type metadataCache struct {
	source io.ReaderAt
	size   int64

	mu     sync.Mutex
	blocks map[int64][]byte
	order  []int64
}

func (c *metadataCache) read(b []byte, off int64) error {
	for len(b) > 0 {
		block, err := c.block(off / metaBlock)
		if err != nil {
			return err
		}
		n := copy(b, block[off%metaBlock:])
		if n == 0 {
			return fmt.Errorf("%w: metadata at %d is cut off", ErrCorrupt, off)
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

func (c *metadataCache) block(index int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.blocks[index]; ok {
		return b, nil
	}
	if c.blocks == nil {
		c.blocks = make(map[int64][]byte, metaBlocks)
	}
	b := make([]byte, min(metaBlock, c.size-index*metaBlock))
	if _, err := c.source.ReadAt(b, index*metaBlock); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read metadata at %d: %w", index*metaBlock, err)
	}
	if len(c.order) < metaBlocks {
		c.order = append(c.order, index)
	} else {
		// A random victim serves the walk's mixed access well enough.
		v := rand.IntN(len(c.order)) //nolint:gosec // no secret depends on it
		delete(c.blocks, c.order[v])
		c.order[v] = index
	}
	c.blocks[index] = b
	return b, nil
}
