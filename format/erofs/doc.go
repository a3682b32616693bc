// Package erofs reads EROFS images in place: no mounting, no unpacking, in
// bounded memory, from any [io.ReaderAt].
//
// It covers what mkfs.erofs 1.8 writes with a block size of up to 64 KiB:
// compact and extended inodes; plain, inline, chunked and compressed data (lz4,
// lz4hc, deflate, zstd); big physical clusters, inlined tails, fragments and
// deduplicated clusters; inline and shared extended attributes with long name
// prefixes. LZMA, extra devices, the metabox and 48-bit layouts are refused
// with [ErrUnsupported].
//
// Besides what a file holds, the package tells how it is laid out ([Extent]):
// two images may have the same content and still differ in their bytes, and
// whoever compares them wants to know why.
//
// An image is foreign data. Every offset is checked before it is used, every
// count has a limit, and a malformed image gives an error that wraps
// [ErrCorrupt], never a panic. The format: Documentation/filesystems/erofs.rst
// and fs/erofs/erofs_fs.h of Linux.
package erofs

import "errors"

var (
	// ErrNotErofs says that there is no EROFS superblock.
	ErrNotErofs = errors.New("not an erofs image")
	// ErrCorrupt says that the image contradicts its own format.
	ErrCorrupt = errors.New("corrupt erofs image")
	// ErrUnsupported names a feature that this package does not read.
	ErrUnsupported = errors.New("unsupported erofs feature")
)

// Limits on what an image may ask for. They are far above what images of
// operating systems hold.
const (
	maxDirectorySize = 64 << 20 // bytes of one directory
	maxSymlinkSize   = 64 << 10 // bytes of a link's target
	maxClusterSize   = 1 << 20  // compressed bytes of one physical cluster (Linux: 1 MiB)
	maxDecodedSize   = 12 << 20 // decompressed bytes of one physical cluster (Linux: 12 MiB)
	maxXattrs        = 4096     // attributes of one inode
)
