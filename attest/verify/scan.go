package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"

	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/format/xz"
)

// pieceSize is how much of the root is read at once: a block of the file for updates, of
// which all but the last have this size.
const pieceSize = 4 << 20

// scan is what reading the root once has shown: each of its bytes is read once for all
// that is held against it.
type scan struct {
	sum    []byte // SHA-256 of it all
	read   error  // the root could not be read
	tree   error  // it is not what the hash tree covers
	update error  // it is not what the file for updates holds
}

// scanRoot reads the file system. Reading goes on where something is wrong, so that all
// is found that is.
func (m *image) scanRoot(ctx context.Context, r *folder) *scan {
	s := &scan{}
	digests, err := updateDigests(r, m.names.Root, m.volume.data.Size())
	s.update = err
	var tree, update first
	var pieces [8]struct {
		b    []byte
		busy sync.WaitGroup
	}
	ring := pieces[:min(len(pieces), runtime.GOMAXPROCS(0)+1)]
	h := sha256.New()
	for at, size := int64(0), m.volume.data.Size(); at < size; at += pieceSize {
		p := &ring[at/pieceSize%int64(len(ring))]
		p.busy.Wait()
		if p.b == nil {
			p.b = make([]byte, pieceSize)
		}
		b := p.b[:min(pieceSize, size-at)]
		if _, s.read = m.volume.data.ReadAt(b, at); s.read != nil {
			break
		}
		if s.read = ctx.Err(); s.read != nil {
			break
		}
		p.busy.Go(func() {
			tree.keep(m.volume.hashes.VerifyBlocks(at/verity.BlockSize, b))
			if digests != nil && sha256.Sum256(b) != digests[at/pieceSize] {
				update.keep(fmt.Errorf("bytes %d to %d are not those of the disk", at, at+int64(len(b))))
			}
		})
		h.Write(b)
	}
	for i := range ring {
		ring[i].busy.Wait()
	}
	s.sum, s.tree = h.Sum(nil), tree.err
	if s.update == nil {
		s.update = update.err
	}
	return s
}

// first keeps the first of several errors.
type first struct {
	sync.Mutex
	err error
}

func (f *first) keep(err error) {
	f.Lock()
	defer f.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// updateDigests reads what the blocks of a file for updates bear the digests of: pieces of
// content of this size. A decoder gives exactly that, or nothing.
func updateDigests(r *folder, name string, size int64) ([][sha256.Size]byte, error) {
	packed := r.files[name]
	if packed == nil {
		return nil, fmt.Errorf("there is no %s", name)
	}
	x, err := xz.Read(packed.f, packed.size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if x.Size != size {
		return nil, fmt.Errorf("%s: it unpacks to %d bytes, the disk has %d", name, x.Size, size)
	}
	digests := make([][sha256.Size]byte, len(x.Blocks))
	for i, b := range x.Blocks {
		if b.Start != int64(i)*pieceSize || b.Size != min(pieceSize, size-b.Start) {
			return nil, fmt.Errorf("%s: its blocks do not hold %d bytes each", name, pieceSize)
		}
		if digests[i], err = x.Digest(packed.f, i); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return digests, nil
}

// sameContent holds content against the digests of its pieces.
func sameContent(content []byte, digests [][sha256.Size]byte) error {
	for i, want := range digests {
		from := min(i*pieceSize, len(content))
		to := min(from+pieceSize, len(content))
		if sha256.Sum256(content[from:to]) != want {
			return fmt.Errorf("bytes %d to %d are not those of the disk", from, to)
		}
	}
	return nil
}
