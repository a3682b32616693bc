package install

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/powercut"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/fetch"
	"github.com/mastercard/mangos/runtime/install/installtest"
)

const targetSize = 16 << 20

// target is a disk in memory that another system was on.
type target struct {
	*powercut.Disk
	sector int64
	forgot *bool
}

func (t target) SectorSize() int64 { return t.sector }
func (t target) Forget() error     { *t.forgot = true; return nil }

var stale = bytes.Repeat([]byte("stale"), 1000)

func newTarget(t testing.TB, size, sector int64) target {
	t.Helper()
	d := powercut.New(size)
	old := &gpt.Table{SectorSize: sector, DiskSize: size, DiskID: gpt.DeriveGUID("old"), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID("old esp"), Label: "old", Start: 1 << 20, Size: 1 << 20},
	}}
	if err := old.Write(d); err != nil {
		t.Fatal(err)
	}
	for at := int64(1 << 20); at < size-2<<20; at += 1 << 20 {
		if _, err := d.WriteAt(stale, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	return target{d, sector, new(bool)}
}

func (b *built) install(t testing.TB, s fetch.Source, to Target) error {
	t.Helper()
	r, err := find(t, s)
	if err != nil {
		return err
	}
	return Install(t.Context(), Options{Source: s, Release: r, Target: to, Patience: installtest.Patience})
}

// installed makes sure that all of the release is on the disk.
func (b *built) installed(t testing.TB, to target) {
	t.Helper()
	table, err := gpt.Read(to, to.Size())
	if err != nil {
		t.Fatal(err)
	}
	if table.SectorSize != to.sector || table.DiskID == b.Table.DiskID || table.Partitions[0].ID == b.Table.Partitions[0].ID {
		t.Errorf("the table is the image's: %+v", table)
	}
	for i, p := range table.Partitions {
		q := b.Table.Partitions[i]
		if p.Type != q.Type || p.Start != q.Start || p.Size != q.Size || p.Label != q.Label || p.Attributes != q.Attributes || i > 0 && p.ID != q.ID {
			t.Errorf("partition %+v, in the image %+v", p, q)
		}
		size := p.Size
		if p.Type == gpt.TypeRoot {
			size = installtest.RootSize // what is behind it nobody reads
		} else if p.Type == gpt.TypeRootVerity {
			size, err = verity.TreeSize(installtest.RootSize)
			if err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, size)
		if _, err := to.ReadAt(got, p.Start); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, b.Image[p.Start:p.Start+size]) {
			t.Errorf("partition %s differs", p.Label)
		}
	}
	mark := make([]byte, 4096)
	if _, err := to.ReadAt(mark, markAt); err != nil || !bytes.Equal(mark, make([]byte, 4096)) {
		t.Error("the mark of an unfinished installation is still there")
	}
	if !*to.forgot {
		t.Error("read back from memory")
	}
}

// notBootable makes sure that no firmware and no kernel finds a table.
func notBootable(t testing.TB, to target) {
	t.Helper()
	if table, err := gpt.Current(to, to.Size()); err == nil {
		t.Fatalf("a partition table: %+v", table)
	}
}

// verified makes sure that in the places of signature, tree and root there is
// nothing but what was there before, and what the root hash vouches for.
func (b *built) verified(t testing.TB, to target) {
	t.Helper()
	before := newTarget(t, to.Size(), to.sector)
	for _, p := range b.Table.Partitions[1:] {
		got, old := make([]byte, p.Size), make([]byte, p.Size)
		if _, err := to.ReadAt(got, p.Start); err != nil {
			t.Fatal(err)
		}
		if _, err := before.ReadAt(old, p.Start); err != nil {
			t.Fatal(err)
		}
		good := b.Good[p.Start : p.Start+p.Size]
		for at := 0; at < len(got); at += 512 {
			if have := got[at : at+512]; !bytes.Equal(have, good[at:at+512]) && !bytes.Equal(have, old[at:at+512]) {
				t.Fatalf("unverified bytes in %s at %d", p.Label, at)
			}
		}
	}
}

func TestInstall(t *testing.T) {
	b := build(t, "1", nil)
	for _, sector := range []int64{512, 4096} {
		to := newTarget(t, targetSize, sector)
		if err := b.install(t, b.Source(t), to); err != nil {
			t.Fatal(err)
		}
		b.installed(t, to)
		// The same once more, and another release over it.
		if err := b.install(t, b.Source(t), to); err != nil {
			t.Fatal(err)
		}
		b.installed(t, to)
	}
}

// Images that the release key signed and that are broken all the same: none
// becomes a bootable disk, and nothing unverified lands where the root goes.
func TestInstallRefusesImages(t *testing.T) {
	flip := func(at func(b *installtest.Release) int64) func(*installtest.Release) {
		return func(b *installtest.Release) { b.Image[at(b)] ^= 1 }
	}
	in := func(i int, offset int64) func(*installtest.Release) int64 {
		return func(b *installtest.Release) int64 { return b.Table.Partitions[i].Start + offset }
	}
	for name, c := range map[string]struct {
		change func(*installtest.Release)
		want   error
	}{
		"first block of the root":        {flip(in(3, 0)), verity.ErrCorrupt},
		"middle of the root":             {flip(in(3, installtest.RootSize/2)), verity.ErrCorrupt},
		"last block of the root":         {flip(in(3, installtest.RootSize-1)), verity.ErrCorrupt},
		"behind the root":                {flip(in(3, installtest.RootSize)), ErrImage},
		"hash tree":                      {flip(in(2, 8192)), verity.ErrCorrupt},
		"superblock":                     {flip(in(2, 0)), verity.ErrFormat},
		"behind the hash tree":           {flip(in(2, 1<<20-1)), verity.ErrFormat},
		"signature of another root":      {func(b *installtest.Release) { b.Image[b.Table.Partitions[1].Start+15] ^= 1 }, ErrImage},
		"partition table":                {flip(func(*installtest.Release) int64 { return 1024 }), ErrImage},
		"no partition table":             {func(b *installtest.Release) { clear(b.Image[:1024]) }, ErrImage},
		"cut off":                        {func(b *installtest.Release) { b.Image = b.Image[:len(b.Image)-512] }, ErrImage},
		"cut off in the head":            {func(b *installtest.Release) { b.Image = b.Image[:4096] }, ErrImage},
		"longer than its table says":     {func(b *installtest.Release) { b.Image = append(b.Image, 0) }, ErrImage},
		"another root than the manifest": {func(b *installtest.Release) { b.Root[0] ^= 1 }, ErrImage},
	} {
		b := build(t, "1", c.change)
		to := newTarget(t, targetSize, 512)
		if err := b.install(t, b.Source(t), to); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if slices.Contains([]string{"partition table", "no partition table", "cut off in the head", "another root than the manifest"}, name) {
			continue // the target is as it was
		}
		notBootable(t, to)
		b.verified(t, to)
	}
}

// The compressed image is not the one of the manifest.
func TestInstallRefusesOtherFiles(t *testing.T) {
	b := build(t, "1", nil)
	other := build(t, "1", func(b *installtest.Release) { b.Image[b.Table.Partitions[0].Start+100] ^= 1 }) // in the ESP
	b.Files[b.Disk] = other.Files[b.Disk]
	to := newTarget(t, targetSize, 512)
	if err := b.install(t, b.Source(t), to); !errors.Is(err, ErrImage) {
		t.Errorf("another ESP: %v", err)
	}
	notBootable(t, to)
	b.Files[b.Disk] = []byte("no zstd at all, but long enough to look like something")
	if err := b.install(t, b.Source(t), to); !errors.Is(err, ErrImage) {
		t.Errorf("garbage: %v", err)
	}
}

func TestInstallTooSmall(t *testing.T) {
	b := build(t, "1", nil)
	s := b.Source(t)
	r, err := find(t, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ size, minimum int64 }{{b.Table.DiskSize - 4096, 0}, {targetSize, targetSize + 1}} {
		to := newTarget(t, c.size, 512)
		if err := Install(t.Context(), Options{Source: s, Release: r, Target: to, Patience: installtest.Patience, Minimum: c.minimum}); !errors.Is(err, ErrTooSmall) {
			t.Errorf("%+v: %v", c, err)
		}
		if _, err := gpt.Read(to, to.Size()); err != nil {
			t.Errorf("the old table is gone: %v", err)
		}
	}
	exact := newTarget(t, b.Table.DiskSize, 512)
	if err := b.install(t, s, exact); err != nil {
		t.Errorf("a target of just the size: %v", err)
	}
}

// lying is a disk that loses a byte.
type lying struct {
	target
	at int64
}

func (l lying) ReadAt(b []byte, at int64) (int, error) {
	n, err := l.target.ReadAt(b, at)
	if *l.forgot && l.at >= at && l.at < at+int64(n) {
		b[l.at-at] ^= 1
	}
	return n, err
}

func TestReadBack(t *testing.T) {
	b := build(t, "1", nil)
	for i, offset := range []int64{1000, 20, 5000, installtest.RootSize - 1} {
		to := newTarget(t, targetSize, 512)
		err := b.install(t, b.Source(t), lying{to, b.Table.Partitions[i].Start + offset})
		if !errors.Is(err, ErrReadBack) {
			t.Errorf("a byte of %s: %v", b.Table.Partitions[i].Label, err)
		}
		notBootable(t, to)
	}
}

// A power cut after any write leaves a disk that does not boot, or a finished
// one; and another run finishes it.
func TestInstallCutAnywhere(t *testing.T) {
	b := build(t, "1", nil)
	s := b.Source(t)
	random := rand.New(rand.NewPCG(1, 2))
	kept := []func() bool{
		func() bool { return true },
		func() bool { return false },
		func() bool { return random.IntN(2) == 0 },
	}
	whole := newTarget(t, targetSize, 512)
	before := whole.Survivor(func() bool { return true })
	used := whole.Writes()
	if err := b.install(t, s, whole); err != nil {
		t.Fatal(err)
	}
	writes := whole.Writes() - used
	for k := range writes {
		to := target{before.Survivor(kept[0]), 512, new(bool)}
		to.StopAfter(k)
		if err := b.install(t, s, to); !errors.Is(err, powercut.ErrCut) {
			t.Fatalf("cut after %d of %d writes: %v", k, writes, err)
		}
		after := target{to.Survivor(kept[k%3]), 512, new(bool)}
		if table, err := gpt.Current(after, targetSize); err == nil && table.DiskID != gpt.DeriveGUID("old") {
			*after.forgot = true
			if err := b.complete(after); err != nil {
				t.Fatalf("cut after %d of %d writes: bootable, and %v", k, writes, err)
			}
		} else if err == nil && after.old(b) {
			t.Fatalf("cut after %d of %d writes: the old system's table, and something was written", k, writes)
		}
		if err := b.install(t, s, after); err != nil {
			t.Fatalf("cut after %d of %d writes, then: %v", k, writes, err)
		}
		b.installed(t, after)
	}
	t.Logf("%d writes", writes)
}

// complete says what of the root is not on a disk.
func (b *built) complete(to target) error {
	root, tree := b.Table.Partitions[3], b.Table.Partitions[2]
	device := make([]byte, tree.Size)
	if _, err := to.ReadAt(device, tree.Start); err != nil {
		return err
	}
	size, err := verity.TreeSize(installtest.RootSize)
	if err != nil {
		return err
	}
	t, err := verity.Open(bytes.NewReader(device[:size]), size, b.Root)
	if err != nil {
		return err
	}
	data := make([]byte, root.Size)
	if _, err := to.ReadAt(data, root.Start); err != nil {
		return err
	}
	return t.Verify(bytes.NewReader(data))
}

// old says whether a disk on which the old table counts has lost something of
// the old system.
func (t target) old(b *built) bool {
	got := make([]byte, len(stale))
	for at := int64(1 << 20); at < targetSize-2<<20; at += 1 << 20 {
		if _, err := t.ReadAt(got, at); err != nil || !bytes.Equal(got, stale) {
			return true
		}
	}
	return false
}

// What is there already is not written again.
func TestResumeWritesTheRest(t *testing.T) {
	b := build(t, "1", nil)
	s := b.Source(t)
	whole := newTarget(t, targetSize, 512)
	used := whole.Writes()
	if err := b.install(t, s, whole); err != nil {
		t.Fatal(err)
	}
	all := whole.Writes() - used
	to := newTarget(t, targetSize, 512)
	to.StopAfter(all - 8) // in the table, nearly at the end
	if err := b.install(t, s, to); !errors.Is(err, powercut.ErrCut) {
		t.Fatal(err)
	}
	after := target{to.Survivor(func() bool { return true }), 512, new(bool)}
	if err := b.install(t, s, after); err != nil {
		t.Fatal(err)
	}
	b.installed(t, after)
	if again := after.Writes(); again > all*2/3 {
		t.Errorf("%d writes at first, %d for the rest", all, again)
	}
}

// Whatever a partition table says, its parts lie behind one another on the disk.
func FuzzParseHead(f *testing.F) {
	b := build(f, "1.0", nil)
	f.Add(b.Image[:64<<10])
	other := *b.Table
	other.Partitions = slices.Clone(other.Partitions)
	other.Partitions[3].ID = gpt.DeriveGUID("another root")
	front, _, err := other.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(front)
	for _, sector := range []int{512, 4096} {
		f.Add(append(make([]byte, sector), "EFI PART"...))
	}
	f.Fuzz(func(t *testing.T, start []byte) {
		if len(start) > headSize {
			return
		}
		l, err := parseHead(append(start, make([]byte, headSize-len(start))...), b.Root)
		if err != nil {
			if !errors.Is(err, ErrImage) {
				t.Fatal(err)
			}
			return
		}
		end := int64(headSize)
		for _, p := range []gpt.Partition{l.esp, l.sig, l.tree, l.root} {
			if p.Start < headSize || p.Size <= 0 || p.Start+p.Size > l.table.DiskSize {
				t.Fatalf("%+v of %d bytes", p, l.table.DiskSize)
			}
			end += p.Size
		}
		if l.root.ID != gpt.GUID(b.Root[:16]) || l.tree.ID != gpt.GUID(b.Root[16:]) || end > l.table.DiskSize || l.tree.Size > maxTree || l.sig.Size != verity.SignatureSize || l.tree.Start > l.root.Start {
			t.Fatalf("accepted %+v", l)
		}
	})
}
