package partition

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
)

var machine = func() MachineID {
	id, err := ParseMachineID("5d1f6a0c-8e0b-4c8d-9c44-2b7b0c8a1e10")
	if err != nil {
		panic(err)
	}
	return id
}()

// From `systemd-id128 machine-id --app-specific=TYPE` with that machine id.
func TestID(t *testing.T) {
	for kind, want := range map[gpt.GUID]string{
		gpt.TypeVar:  "78bcb639-ed4b-4ec7-a8f2-711cf3a53be5",
		gpt.TypeTmp:  "ec23aa84-29b0-4cc6-97f7-c581433814b2",
		gpt.TypeSwap: "92a957f6-0920-4381-ac94-58f85137daaa",
	} {
		if got := machine.ID(kind).String(); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

var (
	root = func() (h verity.RootHash) {
		for i := range h {
			h[i] = byte(i + 1)
		}
		return h
	}()
	sizes = Sizes{Swap: 32 << 20, Tmp: 48 << 20, Var: 64 << 20}
)

// image is the partition table of an installed image on a disk of that size.
func image(size, sector int64) *gpt.Table {
	t := &gpt.Table{SectorSize: sector, DiskID: gpt.DeriveGUID("disk"), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID("esp"), Label: "esp", Size: 4 << 20},
		{Type: gpt.TypeRootVeritySig, ID: gpt.DeriveGUID("sig"), Label: "mangos_0.1_verity_sig", Size: 16 << 10, Attributes: gpt.ReadOnly},
		{Type: gpt.TypeRootVerity, ID: gpt.GUID(root[16:]), Label: "mangos_0.1_verity", Size: 1 << 20, Attributes: gpt.ReadOnly},
		{Type: gpt.TypeRoot, ID: gpt.GUID(root[:16]), Label: "mangos_0.1", Size: 8 << 20, Attributes: gpt.ReadOnly},
	}}
	t.Layout()
	for i := range t.Partitions {
		t.Partitions[i].Number = i + 1
	}
	if size > 0 {
		t.DiskSize = size
	}
	return t
}

func TestPlan(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		next, added, err := plan(image(512<<20, sector), root, sizes, machine)
		if err != nil || len(added) != 6 {
			t.Fatalf("%d added, %v", len(added), err)
		}
		at := int64(0)
		for i, p := range next.Partitions {
			if p.Number != i+1 || p.Start < at || p.Start%gpt.Align != 0 {
				t.Errorf("%+v", p)
			}
			at = p.Start + p.Size
		}
		b := next.Partitions[4:7]
		for i, a := range next.Partitions[1:4] {
			if b[i].Label != "_empty" || b[i].Type != a.Type || b[i].Size != a.Size || b[i].Attributes != a.Attributes || b[i].ID == a.ID {
				t.Errorf("slot A %+v, slot B %+v", a, b[i])
			}
		}
		swap, tmp, last := next.Partitions[7], next.Partitions[8], next.Partitions[9]
		if swap.Type != gpt.TypeSwap || swap.Size != sizes.Swap || tmp.Type != gpt.TypeTmp || tmp.Size != sizes.Tmp || last.Type != gpt.TypeVar || last.ID != machine.ID(gpt.TypeVar) {
			t.Errorf("%+v", next.Partitions[7:])
		}
		if end := last.Start + last.Size; end != 511<<20 {
			t.Errorf("/var ends at byte %d of %d", end, next.DiskSize)
		}
		if _, _, err := next.Encode(); err != nil {
			t.Error(err)
		}
		// Nothing is missing any more.
		if again, added, err := plan(next, root, sizes, machine); err != nil || len(added) != 0 || again != next {
			t.Errorf("planned again: %+v, %v", added, err)
		}
		// A single one that is missing goes where there is room: none.
		less := *next
		less.Partitions = append(append([]gpt.Partition{}, next.Partitions[:8]...), next.Partitions[9])
		if _, _, err := plan(&less, root, sizes, machine); !errors.Is(err, ErrSmall) {
			t.Errorf("a missing partition without room: %v", err)
		}
	}
}

// The running root lies in the second slot after an update.
func TestPlanFromTheOtherSlot(t *testing.T) {
	next, _, err := plan(image(512<<20, 512), root, sizes, machine)
	if err != nil {
		t.Fatal(err)
	}
	var other verity.RootHash
	copy(other[:], "another root, thirty-two bytes..")
	next.Partitions[5].ID, next.Partitions[6].ID = gpt.GUID(other[16:]), gpt.GUID(other[:16])
	next.Partitions = next.Partitions[:7]
	again, added, err := plan(next, other, sizes, machine)
	if err != nil || len(added) != 3 || again.Partitions[9].Type != gpt.TypeVar {
		t.Errorf("%+v, %v", added, err)
	}
}

func TestPlanRefuses(t *testing.T) {
	minimum, err := MinimumDisk(image(0, 512), root, sizes)
	if err != nil {
		t.Fatal(err)
	}
	if next, _, err := plan(image(minimum, 512), root, sizes, machine); err != nil || next.Partitions[9].Size < sizes.Var {
		t.Errorf("the smallest disk: %v", err)
	}
	if _, _, err := plan(image(minimum-gpt.Align, 512), root, sizes, machine); !errors.Is(err, ErrSmall) {
		t.Errorf("a disk that is too small: %v", err)
	}
	if _, _, err := plan(image(512<<20, 512), verity.RootHash{}, sizes, machine); !errors.Is(err, ErrLayout) {
		t.Errorf("another root: %v", err)
	}
	twice := image(512<<20, 512)
	for i := range 2 {
		twice.Partitions = append(twice.Partitions, gpt.Partition{
			Type: gpt.TypeVar, ID: gpt.DeriveGUID("var", string(rune('0'+i))), Label: "var", Start: int64(100+i) << 20, Size: 1 << 20,
		})
	}
	if _, _, err := plan(twice, root, sizes, machine); !errors.Is(err, ErrLayout) {
		t.Errorf("two partitions for /var: %v", err)
	}
	// Somebody's partition behind ours stays, and what is new goes behind it.
	foreign := image(512<<20, 512)
	foreign.Partitions = append(foreign.Partitions, gpt.Partition{
		Type: gpt.DeriveGUID("data"), ID: gpt.DeriveGUID("data"), Label: "data", Start: 100 << 20, Size: 50 << 20,
	})
	next, added, err := plan(foreign, root, sizes, machine)
	if err != nil || next.Partitions[4] != foreign.Partitions[4] || added[0].Start != 150<<20 || added[0].Number != 6 {
		t.Errorf("%+v, %v", added, err)
	}
}

func TestSizes(t *testing.T) {
	good := `{"swap": 1073741824, "tmp": 1073741824, "var": 2147483648}`
	if s, err := ParseSizes([]byte(good)); err != nil || s.Var != 2<<30 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{
		"", "{}", "[]", strings.Replace(good, "swap", "Swap", 1), strings.Replace(good, "1073741824", "1073741825", 1),
		strings.Replace(good, "1073741824", "1048576", 1), strings.Replace(good, "1073741824", "-1073741824", 1),
		strings.Replace(good, "2147483648", "9223372036854775808", 1), strings.Replace(good, `"tmp"`, `"swap"`, 1), strings.Replace(good, `{`, `{"x": 1,`, 1),
	} {
		if s, err := ParseSizes([]byte(bad)); !errors.Is(err, ErrSizes) {
			t.Errorf("%s: %+v, %v", bad, s, err)
		}
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etc/mangos"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, SizesFile), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSizes(dir); err != nil || s.Swap != 1<<30 {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzParseSizes(f *testing.F) {
	f.Add([]byte(`{"swap": 1073741824, "tmp": 1073741824, "var": 2147483648}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ParseSizes(raw)
		if err != nil {
			return
		}
		if _, err := MinimumDisk(image(0, 512), root, s); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	})
}
