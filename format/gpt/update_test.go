package gpt

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"github.com/mastercard/mangos/format/powercut"
)

// installed makes a disk of 64 MiB with an image of 16 MiB on it: the second
// copy of its table stands where the image ends.
func installed(t *testing.T, sector int64) (*powercut.Disk, *Table) {
	t.Helper()
	const size = 64 << 20
	d := powercut.New(size)
	table := &Table{SectorSize: sector, DiskID: DeriveGUID("disk"), Partitions: []Partition{
		{Number: 1, Type: TypeESP, ID: DeriveGUID("esp"), Label: "esp", Size: 1 << 20},
		{Number: 3, Type: TypeRoot, ID: DeriveGUID("root"), Label: "root", Size: 8 << 20},
	}}
	table.Layout()
	if err := table.Write(d); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	table.DiskSize = size
	return d, table
}

// grown is the table with one more partition, in the space behind the image.
func grown(table *Table) *Table {
	g := *table
	g.Partitions = append(g.Partitions[:len(g.Partitions):len(g.Partitions)], Partition{
		Number: len(g.Partitions) + 2, Type: TypeVar, ID: DeriveGUID("var", fmt.Sprint(len(g.Partitions))), Label: "var", Start: int64(20+len(g.Partitions)) << 20, Size: 1 << 20,
	})
	return &g
}

func mustCurrent(t *testing.T, d *powercut.Disk) *Table {
	t.Helper()
	table, err := Current(d, d.Size())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestUpdate(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		d, table := installed(t, sector)
		bootLoader := bytes.Repeat([]byte{0xb7}, 446)
		if _, err := d.WriteAt(bootLoader, 0); err != nil {
			t.Fatal(err)
		}
		for range 3 { // the entries change places each time
			table = grown(table)
			if err := table.Update(d); err != nil {
				t.Fatal(err)
			}
			got, err := Read(d, d.Size())
			if err != nil || !reflect.DeepEqual(got, table) {
				t.Fatalf("sectors of %d: %+v, %v", sector, got, err)
			}
		}
		head := make([]byte, 512)
		if _, err := d.ReadAt(head, 0); err != nil || !bytes.Equal(head[:446], bootLoader) || head[510] != 0x55 {
			t.Error("the boot loader is gone, or the boot record's end")
		}
	}
}

// After every cut the first copy is whole, and gives the old table or the new
// one; and another run brings the new one.
func TestUpdateCut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, sector := range []int64{512, 4096} {
		for k := 0; ; k++ {
			for _, kept := range []func() bool{
				func() bool { return true },
				func() bool { return false },
				func() bool { return random.IntN(2) == 0 },
			} {
				d, old := installed(t, sector)
				if k%2 == 1 { // start from entries in the other place, too
					if err := old.Update(d); err != nil {
						t.Fatal(err)
					}
				}
				next := grown(old)
				d.StopAfter(k / 2)
				err := next.Update(d)
				if err == nil {
					if k < 20 {
						t.Fatalf("only %d writes were needed", k/2)
					}
					goto done
				}
				if !errors.Is(err, powercut.ErrCut) {
					t.Fatal(err)
				}
				after := d.Survivor(kept)
				_, h, err := current(after, after.Size())
				if err != nil || h.MyLBA != 1 {
					t.Fatalf("sectors of %d, cut after %d writes: %v, the table counts from sector %d", sector, k/2, err, h.MyLBA)
				}
				if got := mustCurrent(t, after); !reflect.DeepEqual(got, old) && !reflect.DeepEqual(got, next) {
					t.Fatalf("sectors of %d, cut after %d writes: %+v", sector, k/2, got)
				}
				if err := next.Update(after); err != nil {
					t.Fatal(err)
				}
				if got, err := Read(after, after.Size()); err != nil || !reflect.DeepEqual(got, next) {
					t.Fatalf("sectors of %d, run again after %d writes: %+v, %v", sector, k/2, got, err)
				}
			}
		}
	done:
	}
}

// Another program's write of the table was cut off: the second copy counts, and
// is left alone until the first is whole again.
func TestUpdateDamagedFirst(t *testing.T) {
	for k := 0; ; k++ {
		d, old := installed(t, 512)
		if err := old.Update(d); err != nil {
			t.Fatal(err)
		}
		if _, err := d.WriteAt(make([]byte, 512), 512); err != nil {
			t.Fatal(err)
		}
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		next := grown(old)
		d.StopAfter(k)
		err := next.Update(d)
		if err == nil && k > 10 {
			break
		}
		if got := mustCurrent(t, d.Survivor(func() bool { return k%2 == 0 })); !reflect.DeepEqual(got, old) && !reflect.DeepEqual(got, next) {
			t.Fatalf("cut after %d writes: %+v", k, got)
		}
	}
}

func TestUpdateRefuses(t *testing.T) {
	d, table := installed(t, 512)
	low := *table
	low.Partitions = append([]Partition{{Type: TypeVar, ID: DeriveGUID("low"), Label: "low", Start: 40 * 512, Size: 512}}, table.Partitions...)
	if err := low.Update(d); !errors.Is(err, ErrFormat) {
		t.Errorf("a partition where the second table goes: %v", err)
	}
	if err := table.Update(powercut.New(64 << 20)); !errors.Is(err, ErrFormat) {
		t.Errorf("a disk without a table: %v", err)
	}
	if _, err := Current(powercut.New(100), 100); !errors.Is(err, ErrFormat) {
		t.Errorf("a disk too small for a table: %v", err)
	}
}

// Other programs find the entries in either place.
func TestUpdateReadByOthers(t *testing.T) {
	d, table := installed(t, 512)
	for range 2 {
		table = grown(table)
		if err := table.Update(d); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "disk")
		raw := make([]byte, d.Size())
		if _, err := d.ReadAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, check := range [][]string{{"sfdisk", "--verify", path}, {"sgdisk", "--verify", path}} {
			if _, err := exec.LookPath(check[0]); err != nil {
				t.Skip("needs " + check[0])
			}
			out, err := exec.Command(check[0], check[1:]...).CombinedOutput()
			if err != nil || !regexp.MustCompile(`No (errors detected|problems found)`).Match(out) {
				t.Errorf("%v: %v: %s", check, err, out)
			}
		}
	}
}
