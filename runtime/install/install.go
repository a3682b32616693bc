// Package install puts a release onto a disk: fetches it, checks it, writes it,
// and reads it back. It is what mangos-installer does, on a machine that is
// installed as well as on an ordinary one with a disk or a file to flash.
//
// Trust begins with the organisation's release key. It signs the manifest, the
// manifest names the root hash, the root hash vouches for the hash tree, and the
// tree for each block of the root: no byte of signature, tree and root reaches
// the disk unchecked. The ESP, which no tree covers, is checked with the whole
// image, and what makes the disk one to boot from, its first MiB with the
// partition table, is written when everything else is on the disk and was read
// back.
package install

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/release"
)

var (
	// ErrTooSmall: the release does not fit onto the target.
	ErrTooSmall = errors.New("the target is too small")
	// ErrReadBack: the target does not hold what was written to it.
	ErrReadBack = errors.New("the target does not give back what was written to it")
)

// Target is a disk, or a file that is to hold one.
type Target interface {
	gpt.Disk
	// Size and SectorSize are in bytes.
	Size() int64
	SectorSize() int64
	// Forget makes reads come from the medium, not from memory.
	Forget() error
}

// Stage is a part of the work.
type Stage string

// The stages, in their order.
const (
	Writing Stage = "writing"
	Reading Stage = "reading back"
	Done    Stage = "done"
)

// Progress is told from time to time.
type Progress struct {
	Stage Stage
	// Done of Total bytes; of the download while it is written, -1 for unknown.
	Done, Total int64
	// Again is how many bytes were fetched more than once.
	Again int64
}

// Options of an installation.
type Options struct {
	Source   fetch.Source
	Release  *release.Release
	Target   Target
	Patience fetch.Patience
	// Minimum is the least size in bytes of a target, beside that of the image:
	// what the system needs at its first start. 0 if unknown.
	Minimum int64
	// Tell is told how far it is; nil for nobody.
	Tell func(Progress)
}

// Install writes the release to the target. Whatever was there is lost. Where it
// fails, or is cut off, the target is not bootable, and Install can be called
// again: what is there already of the same image is not written again.
func Install(ctx context.Context, o Options) error {
	if o.Tell == nil {
		o.Tell = func(Progress) {}
	}
	d, err := fetch.NewDownload(ctx, o.Source, o.Release.Image, o.Patience)
	if err != nil {
		return err
	}
	defer d.Close()
	i := &installation{Options: o, download: d, sum: sha256.New()}
	if err := i.write(ctx); err != nil {
		return fmt.Errorf("install %s: %w", o.Release.Image, err)
	}
	if err := i.readBack(ctx); err != nil {
		return fmt.Errorf("install %s: %w", o.Release.Image, err)
	}
	if err := i.finish(); err != nil {
		return fmt.Errorf("install %s: %w", o.Release.Image, err)
	}
	o.Tell(Progress{Stage: Done})
	return nil
}

type installation struct {
	Options
	download *fetch.Download
	sum      hash.Hash    // of the compressed image
	esp      maphash.Hash // of what was written to the ESP
	layout   *layout
	tree     *verity.Tree
	resumed  bool
}

// maxWindow bounds the memory that decompression takes.
const maxWindow = 32 << 20

// write fetches the image and writes all of it but its head.
func (i *installation) write(ctx context.Context) error {
	compressed := io.TeeReader(reader{ctx, i.download, i.tell}, i.sum)
	image, err := zstd.NewReader(compressed, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return err
	}
	defer image.Close()
	head := make([]byte, headSize)
	if _, err := io.ReadFull(image, head); err != nil {
		return broken(err)
	}
	if i.layout, err = parseHead(head, i.Release.Root); err != nil {
		return err
	}
	if need := max(i.layout.table.DiskSize, i.Minimum); i.Target.Size() < need {
		return fmt.Errorf("%w: it has %d MiB, %d are needed", ErrTooSmall, i.Target.Size()>>20, (need+1<<20-1)>>20)
	}
	if _, err := i.table(); err != nil {
		return err
	}
	if err := i.wipe(); err != nil {
		return err
	}
	if i.tree, err = copyImage(image, i.layout, i.Release.Root, i.section); err != nil {
		return broken(err)
	}
	if _, err := io.Copy(io.Discard, compressed); err != nil {
		return err
	}
	if got := i.sum.Sum(nil); !bytes.Equal(got, i.Release.Sum[:]) {
		return fmt.Errorf("%w: its SHA-256 is %x, the manifest says %x", ErrImage, got, i.Release.Sum)
	}
	return i.Target.Sync()
}

// broken names what the decompressor finds.
func broken(err error) error {
	for _, known := range []error{zstd.ErrMagicMismatch, zstd.ErrCRCMismatch, zstd.ErrWindowSizeExceeded, zstd.ErrReservedBlockType, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return fmt.Errorf("%w: %w", ErrImage, err)
		}
	}
	return err
}

// reader ends when ctx does, and tells how far it is.
type reader struct {
	ctx  context.Context
	r    io.Reader
	tell func()
}

func (r reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	r.tell()
	return n, err
}

func (i *installation) tell() {
	i.Tell(Progress{Stage: Writing, Done: i.download.At(), Total: i.download.Size(), Again: i.download.Again()})
}

// wipe removes what the target could be booted from, and marks it as one that
// this image is being written to. One that has that mark holds a part of it.
func (i *installation) wipe() error {
	mark := i.mark()
	have := make([]byte, len(mark))
	if _, err := i.Target.ReadAt(have, markAt); err != nil {
		return err
	}
	i.resumed = bytes.Equal(have, mark)
	empty := make([]byte, headSize)
	for _, step := range []struct {
		data []byte
		at   int64
	}{
		{empty, i.Target.Size() - headSize},
		{empty[:markAt], 0},
		{empty[markAt+len(mark):], markAt + int64(len(mark))},
	} {
		if _, err := i.Target.WriteAt(step.data, step.at); err != nil {
			return err
		}
	}
	// Nothing of the old system may be found when the mark is there.
	if err := i.Target.Sync(); err != nil || i.resumed {
		return err
	}
	if _, err := i.Target.WriteAt(mark, markAt); err != nil {
		return err
	}
	return i.Target.Sync()
}

// markAt is where the mark stands, in the head and outside of any table.
const markAt = 512 << 10

// mark is a block that says what is being written.
func (i *installation) mark() []byte {
	b := make([]byte, verity.BlockSize)
	copy(b, fmt.Sprintf("%s%s %x\n", markBegin, i.Release.Root, i.Release.Sum))
	return b
}

const markBegin = "mangos: an installation that is not finished: "

// section writes a part of the image to its place.
func (i *installation) section(p gpt.Partition) io.Writer {
	w := &placed{target: i.Target, at: p.Start, compare: i.resumed}
	if p.Type == gpt.TypeESP {
		return io.MultiWriter(w, &i.esp)
	}
	return w
}

// placed writes one thing after another. Where compare is set it leaves alone
// what is there already.
type placed struct {
	target  Target
	at      int64
	compare bool
}

func (w *placed) Write(p []byte) (int, error) {
	if w.compare {
		have := make([]byte, len(p))
		if _, err := w.target.ReadAt(have, w.at); err != nil {
			return 0, err
		}
		if bytes.Equal(have, p) {
			w.at += int64(len(p))
			return len(p), nil
		}
	}
	n, err := w.target.WriteAt(p, w.at)
	w.at += int64(n)
	return n, err
}

// readBack compares the medium with what it should hold.
func (i *installation) readBack(ctx context.Context) error {
	if err := i.Target.Forget(); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	var done int64
	total := i.layout.esp.Size + i.layout.sig.Size + i.tree.Size() + int64(len(i.tree.Bytes()))
	part := func(p gpt.Partition, size int64) io.Reader {
		return reader{ctx, io.NewSectionReader(i.Target, p.Start, size), func() {}}
	}
	step := func(n int64) {
		done += n
		i.Tell(Progress{Stage: Reading, Done: done, Total: total})
	}
	step(0)
	// The medium is not out to deceive: a fast hash finds what it lost.
	var esp maphash.Hash
	esp.SetSeed(i.esp.Seed())
	if _, err := io.CopyBuffer(onlyWriter{&esp}, part(i.layout.esp, i.layout.esp.Size), make([]byte, chunk)); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if esp.Sum64() != i.esp.Sum64() {
		return fmt.Errorf("%w: the EFI system partition differs", ErrReadBack)
	}
	step(i.layout.esp.Size)
	sig := make([]byte, i.layout.sig.Size)
	if _, err := io.ReadFull(part(i.layout.sig, i.layout.sig.Size), sig); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if s, err := verity.ParseSignature(sig); err != nil || s.Root != i.Release.Root {
		return fmt.Errorf("%w: the signature differs", ErrReadBack)
	}
	step(i.layout.sig.Size)
	tree, err := verity.Open(part(i.layout.tree, int64(len(i.tree.Bytes()))), int64(len(i.tree.Bytes())), i.Release.Root)
	if err != nil {
		return fmt.Errorf("%w: the hash tree: %w", ErrReadBack, err)
	}
	step(int64(len(tree.Bytes())))
	if err := tree.Verify(io.NewSectionReader(i.Target, i.layout.root.Start, i.layout.root.Size)); err != nil {
		return fmt.Errorf("%w: the root: %w", ErrReadBack, err)
	}
	step(tree.Size())
	return nil
}

// table is the partition table of the target: the image's, for its sectors and
// its size. Disk and ESP get identifiers of their own, so that two disks with
// the same release can be told apart.
func (i *installation) table() (*gpt.Table, error) {
	t := *i.layout.table
	t.SectorSize, t.DiskSize = i.Target.SectorSize(), i.Target.Size()/i.Target.SectorSize()*i.Target.SectorSize()
	t.DiskID = randomID()
	t.Partitions = append([]gpt.Partition{}, t.Partitions...)
	for k := range t.Partitions {
		if t.Partitions[k].Type == gpt.TypeESP {
			t.Partitions[k].ID = randomID()
		}
	}
	_, _, err := t.Encode()
	return &t, err
}

// randomID is a random identifier, version 4 of RFC 9562.
func randomID() (id gpt.GUID) {
	rand.Read(id[:]) // never fails, crypto/rand says
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// finish writes the partition table: the second copy, the entries, and when those
// are there to stay the sectors that say that there is a table. The mark goes
// last.
func (i *installation) finish() error {
	t, err := i.table()
	if err != nil {
		return err
	}
	front, back, err := t.Encode()
	if err != nil {
		return err
	}
	first := 2 * t.SectorSize
	for _, step := range []struct {
		data []byte
		at   int64
	}{
		{back, t.DiskSize - int64(len(back))},
		{front[first:], first},
		{front[:first], 0},
		{make([]byte, verity.BlockSize), markAt},
	} {
		if _, err := i.Target.WriteAt(step.data, step.at); err != nil {
			return fmt.Errorf("write partition table: %w", err)
		}
		if err := i.Target.Sync(); err != nil {
			return fmt.Errorf("write partition table: %w", err)
		}
	}
	return nil
}

// Unfinished says whether the first MiB of a disk is that of an installation that
// was cut off.
func Unfinished(head []byte) bool {
	return len(head) >= markAt+len(markBegin) && string(head[markAt:markAt+len(markBegin)]) == markBegin
}
