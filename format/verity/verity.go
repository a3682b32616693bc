// Package verity builds and checks dm-verity hash trees: the on-disk format
// that veritysetup(8) writes and the kernel's dm-verity target reads.
//
// The format is fixed to what mangos uses: superblock version 1, hash type 1
// (the salt is hashed before the data), SHA-256, and blocks of 4096 bytes for
// data and hashes. A tree with other parameters is refused, not guessed at.
//
// A hash device holds the superblock in its first block, then the levels of
// the tree from the top (one block) down to the leaves. Each hash block holds
// 128 digests; the last of a level is padded with zeros. The root hash is the
// digest of the top block.
//
// Specification: the kernel's Documentation/admin-guide/device-mapper/verity.rst
// and cryptsetup's "DMVerity" wiki page for the superblock.
package verity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

const (
	// BlockSize is the size in bytes of data blocks and hash blocks.
	BlockSize = 4096
	// HashSize is the size in bytes of a digest.
	HashSize = sha256.Size
	// MaxDataSize bounds, in bytes, the data a tree may cover: its tree is
	// held in memory, and takes 1/127 of it.
	MaxDataSize = 32 << 30

	hashesPerBlock = BlockSize / HashSize
	maxSaltSize    = 256
)

var (
	// ErrCorrupt is wrapped by every error that says that bytes are not the
	// ones that the root hash stands for.
	ErrCorrupt = errors.New("does not match its hash")
	// ErrFormat is wrapped by every error that says that something is not a
	// hash tree of the kind this package handles.
	ErrFormat = errors.New("not a usable dm-verity format")
)

// RootHash is the digest that stands for a whole tree and its data.
type RootHash [HashSize]byte

// String returns the hash as 64 lower-case hexadecimal digits, the form in
// which it stands on a command line and is signed.
func (h RootHash) String() string { return hex.EncodeToString(h[:]) }

// ParseRootHash reads the 64 lower-case hexadecimal digits of a root hash.
// Upper-case digits are refused: what is signed is the text.
func ParseRootHash(s string) (RootHash, error) {
	var h RootHash
	if len(s) != 2*HashSize {
		return h, fmt.Errorf("root hash has %d characters, want %d: %w", len(s), 2*HashSize, ErrFormat)
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return h, fmt.Errorf("root hash holds %q, want lower-case hexadecimal digits: %w", c, ErrFormat)
		}
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return h, fmt.Errorf("root hash: %w", err)
	}
	return h, nil
}

// level is a row of hash blocks: where it lies in the hash device, in blocks
// from the first block after the superblock, and how many blocks it has.
type level struct {
	start, blocks int64
}

// levels returns the rows of a tree over dataBlocks blocks of data, leaves
// first, and the blocks that all of them take.
func levels(dataBlocks int64) (rows []level, total int64) {
	for n := dataBlocks; n > 1; {
		n = (n + hashesPerBlock - 1) / hashesPerBlock
		rows = append(rows, level{blocks: n})
		total += n
	}
	at := int64(0)
	for i := len(rows) - 1; i >= 0; i-- {
		rows[i].start = at
		at += rows[i].blocks
	}
	return rows, total
}

// TreeSize returns the size in bytes of the hash device, superblock included,
// for size bytes of data.
func TreeSize(size int64) (int64, error) {
	if err := checkDataSize(size); err != nil {
		return 0, err
	}
	_, total := levels(size / BlockSize)
	return (1 + total) * BlockSize, nil
}

func checkDataSize(size int64) error {
	switch {
	case size <= 0:
		return fmt.Errorf("data has %d bytes: %w", size, ErrFormat)
	case size%BlockSize != 0:
		return fmt.Errorf("data has %d bytes, not a multiple of %d: %w", size, BlockSize, ErrFormat)
	case size > MaxDataSize:
		return fmt.Errorf("data has %d bytes, more than the %d this can handle: %w", size, int64(MaxDataSize), ErrFormat)
	}
	return nil
}

// digester hashes blocks with a salt in front. It is not safe for concurrent
// use: each worker has its own.
type digester struct {
	h    hash.Hash
	salt []byte
	sum  [HashSize]byte
}

func newDigester(salt []byte) *digester {
	return &digester{h: sha256.New(), salt: salt}
}

// block returns the digest of the salt followed by b. The result is valid
// until the next call.
func (d *digester) block(b []byte) []byte {
	d.h.Reset()
	d.h.Write(d.salt)
	d.h.Write(b)
	return d.h.Sum(d.sum[:0])
}
