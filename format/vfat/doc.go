// Package vfat reads FAT12, FAT16 and FAT32 file systems with long names in
// place, with sectors of 512 to 4096 bytes: no mounting, bounded memory.
//
// Directory entries come in the order of the image, with their raw times and
// attributes, because two file systems with the same files may differ there. [Spec.Make]
// computes the bytes that mkfs.vfat and mtools write for given files, so that a file
// system can be held against them.
//
// The image is foreign data: offsets and cluster chains are checked (a chain
// that loops or is longer than the volume is an error that wraps
// [ErrCorrupt]), directories and names have limits. The format: Microsoft's
// FAT32 File System Specification 1.03.
package vfat

import "errors"

var (
	// ErrNotFAT says that there is no FAT boot sector.
	ErrNotFAT = errors.New("not a FAT file system")
	// ErrCorrupt says that the file system contradicts its own format.
	ErrCorrupt = errors.New("corrupt FAT file system")
)

const (
	maxDirectorySize = 2 << 20 // the format's own limit: 65,536 entries
	maxClusters      = 1 << 28
)
