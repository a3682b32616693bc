package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/powercut"
	"github.com/mastercard/mangos/runtime/luks"
	"github.com/mastercard/mangos/runtime/recovery"
)

const diskSize = 512 << 20

// device is a machine with a disk that may lose its power.
type device struct {
	t       *testing.T
	disk    *powercut.Disk
	request bool // for a factory reset
	shown   map[int]gpt.Partition
	keys    []recovery.Key
	made    *int
}

// content is what a partition of the image holds, a pattern of its own.
func content(label string) []byte {
	return bytes.Repeat([]byte(label), 4096/len(label))
}

// newDevice is a machine onto whose disk an image was written, among what
// another system left there.
func newDevice(t *testing.T, sector int64) *device {
	t.Helper()
	d := powercut.New(diskSize)
	// What another system left, at each MiB.
	for at := int64(0); at < diskSize; at += gpt.Align {
		if _, err := d.WriteAt(bytes.Repeat([]byte("LUKS\xba\xbe\x00\x02"), 64), at); err != nil {
			t.Fatal(err)
		}
	}
	table := image(0, sector) // the image is smaller than the disk
	if err := table.Write(d); err != nil {
		t.Fatal(err)
	}
	for _, p := range table.Partitions {
		if _, err := d.WriteAt(content(p.Label), p.Start); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	return &device{t: t, disk: d, made: new(int)}
}

// Make is not what is tested here: any bytes will do for a header.
func (d *device) Make(_ context.Context, id gpt.GUID, label string, key recovery.Key) (header, passphrase []byte, err error) {
	*d.made++
	passphrase = fmt.Appendf(nil, "passphrase %d", *d.made)
	header = make([]byte, 4096)
	copy(header, fmt.Sprintf("LUKS\xba\xbe\x00\x02 %s %s %s %s", id, label, key, passphrase))
	return header, passphrase, nil
}

func (d *device) Add(p gpt.Partition) (string, error) {
	for _, q := range d.shown {
		if q.Number == p.Number || p.Start < q.Start+q.Size && q.Start < p.Start+p.Size {
			return "", fmt.Errorf("partition %d is in the way of %d", q.Number, p.Number)
		}
	}
	d.shown[p.Number] = p
	return fmt.Sprint(p.Number), nil
}

func (d *device) Remove(number int) error {
	delete(d.shown, number)
	return nil
}

func (d *device) Fill(_ context.Context, node string, kind gpt.GUID, label string, passphrase []byte) error {
	var number int
	if _, err := fmt.Sscan(node, &number); err != nil {
		return err
	}
	p := d.shown[number]
	for i := range int64(3) {
		if _, err := d.disk.WriteAt(fileSystem(kind, passphrase), p.Start+luks.HeaderSize+i*4096); err != nil {
			return err
		}
	}
	return nil
}

func fileSystem(kind gpt.GUID, passphrase []byte) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%s by %s.", kind, passphrase), 20)
}

func (d *device) Announce(added []gpt.Partition) error { return nil }

// boot does what the unit does at each start. The kernel shows what the table has.
func (d *device) boot() error {
	table, err := gpt.Current(d.disk, d.disk.Size())
	if err != nil {
		return err
	}
	d.shown = map[int]gpt.Partition{}
	for _, p := range table.Partitions {
		d.shown[p.Number] = p
	}
	p := &Partitioner{Disk: d.disk, Table: table, Root: root, Sizes: sizes, Machine: machine, Maker: d, Host: d,
		Show: func(k recovery.Key) error { d.keys = append(d.keys, k); return nil }}
	if d.request {
		if err := p.Reset(func() error { d.request = false; return nil }); err != nil {
			return err
		}
	}
	_, err = p.Complete(d.t.Context())
	return err
}

// after is the machine when the power is back.
func (d *device) after(kept func() bool) *device {
	next := *d
	next.disk = d.disk.Survivor(kept)
	return &next
}

// copies returns a function that gives machines like this one.
func (d *device) copies() func() *device {
	return func() *device {
		c := d.after(func() bool { return true })
		made := *d.made
		c.made = &made
		return c
	}
}

func (d *device) read(at int64, n int) []byte {
	d.t.Helper()
	b := make([]byte, n)
	if _, err := d.disk.ReadAt(b, at); err != nil {
		d.t.Fatal(err)
	}
	return b
}

// check makes sure that the disk is one to start from: Linux finds a table (in
// the first copy, it does not look at the second), what the image brought is as
// it was, and what stands in the table is complete. It returns the partitions.
func (d *device) check() []gpt.Partition {
	d.t.Helper()
	first := d.disk.Survivor(func() bool { return true })
	if _, err := first.WriteAt(make([]byte, 64<<10), diskSize-(64<<10)); err != nil {
		d.t.Fatal(err)
	}
	table, err := gpt.Current(first, diskSize)
	if err != nil {
		d.t.Fatalf("the first copy of the table: %v", err)
	}
	if n := len(table.Partitions); n != 4 && n != 7 && n != 10 {
		d.t.Fatalf("%d partitions", n)
	}
	for i, p := range table.Partitions {
		switch {
		case i < 4:
			if !bytes.Equal(d.read(p.Start, len(content(p.Label))), content(p.Label)) {
				d.t.Fatalf("partition %s changed", p.Label)
			}
		case isVolume(p.Type) && !d.request:
			d.checkVolume(p)
		}
	}
	return table.Partitions
}

// checkVolume: its header is whole, its file system too, and opens with a key
// that was shown.
func (d *device) checkVolume(p gpt.Partition) {
	d.t.Helper()
	var id, label, key, word string
	var made int
	head := d.read(p.Start, 512)
	if _, err := fmt.Sscanf(string(head[8:]), " %s %s %s %s %d", &id, &label, &key, &word, &made); err != nil || id != p.ID.String() || label != p.Label {
		d.t.Fatalf("header of %s: %v: %q", p.Label, err, head[:120])
	}
	if !slices.Contains(d.keys, recovery.Key(key)) {
		d.t.Fatalf("volume %s: its recovery key was never shown", p.Label)
	}
	want := fileSystem(p.Type, fmt.Appendf(nil, "passphrase %d", made))
	for i := range int64(3) {
		if !bytes.Equal(d.read(p.Start+luks.HeaderSize+i*4096, len(want)), want) {
			d.t.Fatalf("file system of %s is not complete", p.Label)
		}
	}
}

// tryAllCuts cuts the power after each write of a start of the machine, starts
// it again, and calls finished.
func tryAllCuts(t *testing.T, begin func() *device, finished func(*device)) {
	random := rand.New(rand.NewPCG(1, 2))
	kept := []func() bool{
		func() bool { return true },
		func() bool { return false },
		func() bool { return random.IntN(2) == 0 },
	}
	for k := 0; ; k++ {
		for i := range kept {
			d := begin()
			d.disk.StopAfter(k)
			err := d.boot()
			if err == nil {
				d.check()
				finished(d)
				t.Logf("%d writes", k)
				return
			}
			if !errors.Is(err, powercut.ErrCut) {
				t.Fatal(err)
			}
			next := d.after(kept[i])
			next.check()
			if err := next.boot(); err != nil {
				t.Fatalf("cut after %d writes, then: %v", k, err)
			}
			if n := len(next.check()); n != 10 {
				t.Fatalf("cut after %d writes, then: %d partitions", k, n)
			}
			finished(next)
		}
	}
}

func TestFirstBootCutAnywhere(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		begin := newDevice(t, sector).copies()
		tryAllCuts(t, begin, func(d *device) {
			if _, err := gpt.Read(d.disk, diskSize); err != nil {
				t.Fatalf("the two copies of the table: %v", err)
			}
			// A later start changes nothing.
			d.disk.StopAfter(0)
			if err := d.boot(); err != nil {
				t.Fatalf("a later start: %v", err)
			}
		})
	}
}

func TestResetCutAnywhere(t *testing.T) {
	before := newDevice(t, 512)
	if err := before.boot(); err != nil {
		t.Fatal(err)
	}
	before.request = true
	old := *before.made
	tryAllCuts(t, before.copies(), func(d *device) {
		if d.request {
			t.Fatal("the request is still there")
		}
		for _, p := range d.check() {
			if !isVolume(p.Type) {
				continue
			}
			for i := 1; i <= old; i++ {
				if bytes.Contains(d.read(p.Start, 512), fmt.Appendf(nil, "passphrase %d\x00", i)) {
					t.Fatalf("volume %s still has its old key", p.Label)
				}
			}
		}
	})
}

// A failure that is no power cut leaves no partitions behind for the next try.
func TestFailureTakesPartitionsAway(t *testing.T) {
	d := newDevice(t, 512)
	p := &Partitioner{Disk: d.disk, Table: image(diskSize, 512), Root: root, Sizes: sizes, Machine: machine, Maker: d,
		Host: failing{d}, Show: func(recovery.Key) error { t.Error("a key was shown"); return nil }}
	d.shown = map[int]gpt.Partition{}
	if _, err := p.Complete(t.Context()); !errors.Is(err, errFill) {
		t.Fatalf("got %v", err)
	}
	if len(d.shown) != 0 {
		t.Errorf("still there: %+v", d.shown)
	}
	if n := len(d.check()); n != 4 {
		t.Errorf("%d partitions", n)
	}
}

var errFill = errors.New("no file system today")

type failing struct{ *device }

func (f failing) Fill(_ context.Context, _ string, kind gpt.GUID, _ string, _ []byte) error {
	if kind == gpt.TypeVar {
		return errFill
	}
	return nil
}
