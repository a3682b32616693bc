package verity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

const superblockSize = 512

var (
	magic     = [8]byte{'v', 'e', 'r', 'i', 't', 'y', 0, 0}
	algorithm = [32]byte{'s', 'h', 'a', '2', '5', '6'}
)

// Superblock holds what the first 512 bytes of a hash device say. It is not
// covered by the root hash: a reader must not trust it beyond what the tree
// confirms, except that a wrong salt or size makes every check fail.
type Superblock struct {
	UUID       [16]byte
	DataBlocks int64
	Salt       []byte
}

// Salt returns the salt of every mangos hash tree: SHA-256 of the text
// "mangos dm-verity salt 1". A salt protects nothing here (the tree is public
// and signed); a fixed one makes the tree a function of the data alone.
func Salt() []byte {
	s := sha256.Sum256([]byte("mangos dm-verity salt 1"))
	return s[:]
}

// deriveUUID makes the UUID of a hash device from its root hash, so that the
// device is a function of the data alone. It is marked as version 8 (custom),
// RFC 9562.
func deriveUUID(root RootHash) (id [16]byte) {
	s := sha256.Sum256(append([]byte("mangos dm-verity uuid 1\x00"), root[:]...))
	copy(id[:], s[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// rawSuperblock is cryptsetup's struct verity_sb, little endian.
type rawSuperblock struct {
	Magic         [8]byte
	Version       uint32
	HashType      uint32
	UUID          [16]byte
	Algorithm     [32]byte
	DataBlockSize uint32
	HashBlockSize uint32
	DataBlocks    uint64
	SaltSize      uint16
	_             [6]byte
	Salt          [maxSaltSize]byte
	_             [168]byte
}

// encode returns the superblock's 512 bytes.
func (sb *Superblock) encode() []byte {
	raw := rawSuperblock{
		Magic: magic, Version: 1, HashType: 1, UUID: sb.UUID, Algorithm: algorithm,
		DataBlockSize: BlockSize, HashBlockSize: BlockSize,
		DataBlocks: uint64(sb.DataBlocks), SaltSize: uint16(len(sb.Salt)),
	}
	copy(raw.Salt[:], sb.Salt)
	var b bytes.Buffer
	// Writing fixed-size fields to a buffer cannot fail.
	_ = binary.Write(&b, binary.LittleEndian, &raw)
	return b.Bytes()
}

// ParseSuperblock reads the superblock from the first bytes of a hash device.
// It accepts only the parameters this package handles; its errors wrap
// ErrFormat.
func ParseSuperblock(b []byte) (*Superblock, error) {
	var raw rawSuperblock
	if len(b) < superblockSize {
		return nil, fmt.Errorf("superblock has %d bytes, want %d: %w", len(b), superblockSize, ErrFormat)
	}
	if err := binary.Read(bytes.NewReader(b[:superblockSize]), binary.LittleEndian, &raw); err != nil {
		return nil, fmt.Errorf("superblock: %w", err)
	}
	switch {
	case raw.Magic != magic:
		return nil, fmt.Errorf("superblock has no verity signature: %w", ErrFormat)
	case raw.Version != 1 || raw.HashType != 1:
		return nil, fmt.Errorf("superblock version %d, hash type %d, want 1 and 1: %w", raw.Version, raw.HashType, ErrFormat)
	case raw.Algorithm != algorithm:
		return nil, fmt.Errorf("superblock names algorithm %q, want \"sha256\": %w", bytes.TrimRight(raw.Algorithm[:], "\x00"), ErrFormat)
	case raw.DataBlockSize != BlockSize || raw.HashBlockSize != BlockSize:
		return nil, fmt.Errorf("superblock has block sizes %d and %d, want %d: %w", raw.DataBlockSize, raw.HashBlockSize, BlockSize, ErrFormat)
	case raw.SaltSize > maxSaltSize:
		return nil, fmt.Errorf("superblock has a salt of %d bytes, want at most %d: %w", raw.SaltSize, maxSaltSize, ErrFormat)
	case raw.DataBlocks == 0 || raw.DataBlocks > MaxDataSize/BlockSize:
		return nil, fmt.Errorf("superblock covers %d blocks: %w", raw.DataBlocks, ErrFormat)
	}
	return &Superblock{
		UUID: raw.UUID, DataBlocks: int64(raw.DataBlocks),
		Salt: append([]byte(nil), raw.Salt[:raw.SaltSize]...),
	}, nil
}
