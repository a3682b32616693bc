package verity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// Tree is a hash tree in memory, complete with its superblock.
type Tree struct {
	Superblock Superblock
	Root       RootHash
	rows       []level
	device     []byte // superblock block, then the rows, top first
}

// Bytes returns the hash device: superblock and tree. The caller must not
// change it.
func (t *Tree) Bytes() []byte { return t.device }

// row returns the bytes of a row of hash blocks, leaves being row 0.
func (t *Tree) row(i int) []byte {
	from := (1 + t.rows[i].start) * BlockSize
	return t.device[from : from+t.rows[i].blocks*BlockSize]
}

// Build hashes size bytes of data, with all processors, into a tree with the
// given salt and a UUID derived from the root hash. The result depends on the
// data and the salt alone.
func Build(data io.ReaderAt, size int64, salt []byte) (*Tree, error) {
	if err := checkDataSize(size); err != nil {
		return nil, fmt.Errorf("build hash tree: %w", err)
	}
	if len(salt) > maxSaltSize {
		return nil, fmt.Errorf("build hash tree: salt has %d bytes, want at most %d: %w", len(salt), maxSaltSize, ErrFormat)
	}
	t := &Tree{Superblock: Superblock{DataBlocks: size / BlockSize, Salt: bytes.Clone(salt)}}
	var total int64
	t.rows, total = levels(t.Superblock.DataBlocks)
	t.device = make([]byte, (1+total)*BlockSize)

	top := make([]byte, BlockSize)
	if len(t.rows) == 0 {
		// A single block of data has no tree: the root hash is its digest.
		if err := readFullAt(data, top, 0); err != nil {
			return nil, fmt.Errorf("build hash tree: read data: %w", err)
		}
	} else {
		if err := hashRow(t.row(0), data, size, salt); err != nil {
			return nil, fmt.Errorf("build hash tree: read data: %w", err)
		}
		for i := 1; i < len(t.rows); i++ {
			below := t.row(i - 1)
			if err := hashRow(t.row(i), bytes.NewReader(below), int64(len(below)), salt); err != nil {
				return nil, fmt.Errorf("build hash tree: %w", err)
			}
		}
		top = t.row(len(t.rows) - 1)
	}
	copy(t.Root[:], newDigester(salt).block(top))
	t.Superblock.UUID = deriveUUID(t.Root)
	copy(t.device, t.Superblock.encode())
	return t, nil
}

// hashRow fills row with the digests of the blocks of data. Each hash block is
// a unit of work: 128 blocks of data in, one block out.
func hashRow(row []byte, data io.ReaderAt, size int64, salt []byte) error {
	return parallel(len(row)/BlockSize, func() func(int) error {
		d, buf := newDigester(salt), make([]byte, hashesPerBlock*BlockSize)
		return func(i int) error {
			at := int64(i) * hashesPerBlock * BlockSize
			in := buf[:min(int64(len(buf)), size-at)]
			if err := readFullAt(data, in, at); err != nil {
				return err
			}
			out := row[i*BlockSize : (i+1)*BlockSize]
			for ; len(in) > 0; in, out = in[BlockSize:], out[HashSize:] {
				copy(out, d.block(in[:BlockSize]))
			}
			return nil
		}
	})
}

// readFullAt fills b from offset at. Data that ends early is an error.
func readFullAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("at byte %d: %w", at+int64(n), err)
}

// parallel runs n numbered units of work on all processors. Each worker gets a
// function of its own from newWorker. The first failure stops the others and
// is returned.
func parallel(n int, newWorker func() func(int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
		once   sync.Once
		first  error
		group  sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), n) {
		group.Add(1)
		go func() {
			defer group.Done()
			work := newWorker()
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := work(i); err != nil {
					once.Do(func() { first = err })
					failed.Store(true)
				}
			}
		}()
	}
	group.Wait()
	return first
}
