package verity

import (
	"bytes"
	"fmt"
	"io"
)

// Open reads a hash device of size bytes and checks it from the root hash
// down: superblock, then each row against the one above. What it returns is
// as trustworthy as root. Bytes after the tree must be zero (a partition is
// larger than its tree). Errors wrap ErrFormat or ErrCorrupt.
func Open(device io.Reader, size int64, root RootHash) (*Tree, error) {
	head := make([]byte, BlockSize)
	if size < BlockSize {
		return nil, fmt.Errorf("open hash tree: device has %d bytes: %w", size, ErrFormat)
	}
	if _, err := io.ReadFull(device, head); err != nil {
		return nil, fmt.Errorf("open hash tree: read superblock: %w", err)
	}
	sb, err := ParseSuperblock(head)
	if err != nil {
		return nil, fmt.Errorf("open hash tree: %w", err)
	}
	rows, total := levels(sb.DataBlocks)
	if want := (1 + total) * BlockSize; size < want {
		return nil, fmt.Errorf("open hash tree: device has %d bytes, its tree needs %d: %w", size, want, ErrFormat)
	}
	t := &Tree{Superblock: *sb, Root: root, rows: rows, device: make([]byte, (1+total)*BlockSize)}
	copy(t.device, head)
	if _, err := io.ReadFull(device, t.device[BlockSize:]); err != nil {
		return nil, fmt.Errorf("open hash tree: read: %w", err)
	}
	if err := checkZero(io.LimitReader(device, size-int64(len(t.device)))); err != nil {
		return nil, fmt.Errorf("open hash tree: bytes after the tree: %w", err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("open hash tree: %w", err)
	}
	return t, nil
}

// check verifies every hash block against the row above it, top down.
func (t *Tree) check() error {
	if len(t.rows) == 0 {
		return nil
	}
	d := newDigester(t.Superblock.Salt)
	expected := t.Root[:]
	for i := len(t.rows) - 1; i >= 0; i-- {
		row := t.row(i)
		blocks := len(row) / BlockSize
		for b := range blocks {
			want := expected[b*HashSize : (b+1)*HashSize]
			if !bytes.Equal(d.block(row[b*BlockSize:(b+1)*BlockSize]), want) {
				return fmt.Errorf("hash block %d of level %d: %w", b, i, ErrCorrupt)
			}
		}
		if !isZero(expected[blocks*HashSize:]) {
			return fmt.Errorf("padding above level %d is not zero: %w", i, ErrCorrupt)
		}
		expected = row
	}
	if !isZero(expected[t.Superblock.DataBlocks*HashSize:]) {
		return fmt.Errorf("padding of the leaves is not zero: %w", ErrCorrupt)
	}
	return nil
}

// want returns the digest that block i of the data must have.
func (t *Tree) want(i int64) []byte {
	if len(t.rows) == 0 {
		return t.Root[:]
	}
	return t.row(0)[i*HashSize : (i+1)*HashSize]
}

// Size returns the size in bytes of the data the tree covers.
func (t *Tree) Size() int64 { return t.Superblock.DataBlocks * BlockSize }

// Verify checks, with all processors, that data is what the tree covers. The
// error names a block that is not, and wraps ErrCorrupt.
func (t *Tree) Verify(data io.ReaderAt) error {
	const unit = hashesPerBlock
	n := int((t.Superblock.DataBlocks + unit - 1) / unit)
	return parallel(n, func() func(int) error {
		d, buf := newDigester(t.Superblock.Salt), make([]byte, unit*BlockSize)
		return func(i int) error {
			block := int64(i) * unit
			in := buf[:min(int64(len(buf)), t.Size()-block*BlockSize)]
			if err := readFullAt(data, in, block*BlockSize); err != nil {
				return fmt.Errorf("verify data: %w", err)
			}
			return t.verifyBlocks(d, block, in)
		}
	})
}

// VerifyBlocks checks whole blocks of the data, from the one with the number first on, as
// [Tree.Verify] does. It may be called by several goroutines.
func (t *Tree) VerifyBlocks(first int64, blocks []byte) error {
	if n := int64(len(blocks)); n%BlockSize != 0 || first < 0 || first+n/BlockSize > t.Superblock.DataBlocks {
		return fmt.Errorf("verify data: %d bytes from block %d on, of %d blocks: %w", n, first, t.Superblock.DataBlocks, ErrCorrupt)
	}
	return t.verifyBlocks(newDigester(t.Superblock.Salt), first, blocks)
}

func (t *Tree) verifyBlocks(d *digester, first int64, blocks []byte) error {
	for ; len(blocks) > 0; blocks, first = blocks[BlockSize:], first+1 {
		if !bytes.Equal(d.block(blocks[:BlockSize]), t.want(first)) {
			return fmt.Errorf("verify data: block %d: %w", first, ErrCorrupt)
		}
	}
	return nil
}

// Writer returns a writer that passes data on to w block by block, each only
// after it was checked against the tree. Close reports data that ended early.
// After an error nothing more is passed on.
func (t *Tree) Writer(w io.Writer) io.WriteCloser {
	return &writer{tree: t, to: w, d: newDigester(t.Superblock.Salt)}
}

type writer struct {
	tree    *Tree
	to      io.Writer
	d       *digester
	next    int64  // number of the next block
	partial []byte // the beginning of that block
	err     error
}

func (w *writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	taken := len(p)
	if len(w.partial) > 0 {
		n := min(BlockSize-len(w.partial), len(p))
		w.partial, p = append(w.partial, p[:n]...), p[n:]
		if len(w.partial) < BlockSize {
			return taken, nil
		}
		if w.err = w.pass(w.partial); w.err != nil {
			return 0, w.err
		}
		w.partial = w.partial[:0]
	}
	whole := len(p) / BlockSize * BlockSize
	if w.err = w.pass(p[:whole]); w.err != nil {
		return 0, w.err
	}
	w.partial = append(w.partial, p[whole:]...)
	return taken, nil
}

// pass checks whole blocks and writes those before the first bad one.
func (w *writer) pass(p []byte) error {
	for at := 0; at < len(p); at += BlockSize {
		if w.next >= w.tree.Superblock.DataBlocks {
			return fmt.Errorf("verify data: longer than the %d bytes of its tree: %w", w.tree.Size(), ErrCorrupt)
		}
		if !bytes.Equal(w.d.block(p[at:at+BlockSize]), w.tree.want(w.next)) {
			return fmt.Errorf("verify data: block %d: %w", w.next, ErrCorrupt)
		}
		if _, err := w.to.Write(p[at : at+BlockSize]); err != nil {
			return fmt.Errorf("verify data: write block %d: %w", w.next, err)
		}
		w.next++
	}
	return nil
}

func (w *writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if len(w.partial) > 0 || w.next != w.tree.Superblock.DataBlocks {
		return fmt.Errorf("verify data: ends after %d bytes, want %d: %w",
			w.next*BlockSize+int64(len(w.partial)), w.tree.Size(), ErrCorrupt)
	}
	return nil
}

func checkZero(r io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if !isZero(buf[:n]) {
			return fmt.Errorf("not zero: %w", ErrFormat)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
