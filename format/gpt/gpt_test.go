package gpt

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// memory is a disk.
type memory []byte

func (m memory) WriteAt(p []byte, at int64) (int, error) { return copy(m[at:], p), nil }

func sample(sector int64) *Table {
	t := &Table{SectorSize: sector, DiskID: DeriveGUID("disk"), Partitions: []Partition{
		{Number: 1, Type: TypeESP, ID: DeriveGUID("esp"), Label: "esp", Size: 3 << 20},
		{Number: 2, Type: TypeRootVeritySig, ID: DeriveGUID("sig"), Label: "mangos_1.2_verity_sig", Size: 16 << 10, Attributes: ReadOnly},
		{Number: 3, Type: TypeRoot, ID: DeriveGUID("root"), Label: "größe_€_𝄞", Size: 5000, Attributes: ReadOnly | NoAuto},
	}}
	t.Layout()
	return t
}

func write(t testing.TB, table *Table) memory {
	t.Helper()
	disk := make(memory, table.DiskSize)
	if err := table.Write(disk); err != nil {
		t.Fatal(err)
	}
	return disk
}

func TestRoundTrip(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		want := sample(sector)
		disk := write(t, want)
		got, err := Read(bytes.NewReader(disk), int64(len(disk)))
		if err != nil {
			t.Fatalf("sectors of %d: %v", sector, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("sectors of %d:\n got %+v\nwant %+v", sector, got, want)
		}
	}
}

func TestLayout(t *testing.T) {
	for _, p := range sample(512).Partitions {
		if p.Start%Align != 0 || p.Size%4096 != 0 {
			t.Errorf("%q at %d, %d bytes", p.Label, p.Start, p.Size)
		}
	}
}

func TestReadNoticesDamage(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		disk := write(t, sample(sector))
		size := int64(len(disk))
		_, back := reserved(sector)
		for _, at := range []int64{
			sector + 16, sector + 24, sector + 56, 2*sector + 3, 2*sector + 128, size - sector, size - sector + 60,
			size - back, size - back + 200,
		} {
			disk[at] ^= 1
			if _, err := Read(bytes.NewReader(disk), size); !errors.Is(err, ErrFormat) {
				t.Errorf("sectors of %d, byte %d changed: %v", sector, at, err)
			}
			disk[at] ^= 1
		}
		if _, err := Read(bytes.NewReader(disk[:size-Align]), size-Align); !errors.Is(err, ErrFormat) {
			t.Errorf("sectors of %d, smaller disk: %v", sector, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, change := range map[string]func(*Table){
		"long label":       func(t *Table) { t.Partitions[0].Label = strings.Repeat("x", 37) },
		"long in UTF-16":   func(t *Table) { t.Partitions[0].Label = strings.Repeat("𝄞", 19) },
		"overlap":          func(t *Table) { t.Partitions[1].Start = t.Partitions[0].Start + 4096 },
		"same identifiers": func(t *Table) { t.Partitions[1].ID = t.Partitions[0].ID },
		"no identifier":    func(t *Table) { t.Partitions[1].ID = GUID{} },
		"no type":          func(t *Table) { t.Partitions[1].Type = GUID{} },
		"in the header":    func(t *Table) { t.Partitions[0].Start = 512 },
		"behind the end":   func(t *Table) { t.Partitions[2].Size = 1 << 30 },
		"no size":          func(t *Table) { t.Partitions[2].Size = 0 },
		"negative":         func(t *Table) { t.Partitions[2].Start = -4096 },
		"odd":              func(t *Table) { t.Partitions[2].Start += 100 },
		"sector size":      func(t *Table) { t.SectorSize = 520 },
		"small disk":       func(t *Table) { t.DiskSize = 512 },
		"many partitions":  func(t *Table) { t.Partitions = make([]Partition, 129) },
	} {
		table := sample(512)
		change(table)
		if _, _, err := table.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLabelFits(t *testing.T) {
	for label, fits := range map[string]bool{
		strings.Repeat("x", 36): true, strings.Repeat("x", 37): false,
		strings.Repeat("𝄞", 18): true, strings.Repeat("𝄞", 18) + "x": false,
	} {
		if err := CheckLabel(label); (err == nil) != fits {
			t.Errorf("%q: %v", label, err)
		}
	}
}

func TestGUID(t *testing.T) {
	const text = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	g, err := ParseGUID(strings.ToUpper(text))
	if err != nil || g != TypeRoot || g.String() != text {
		t.Errorf("%s, %v", g, err)
	}
	for _, bad := range []string{"", "x" + text[1:], text + "0", strings.ReplaceAll(text, "-", ""), "4f68bce3e8cd-4db1-96e7-fbcaf984b70-9"} {
		if _, err := ParseGUID(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if DeriveGUID("ab", "c") == DeriveGUID("a", "bc") {
		t.Error("the parts of a derived identifier run together")
	}
	if d := DeriveGUID("x"); d[6]>>4 != 8 || d[8]>>6 != 2 {
		t.Errorf("%s is not of version 8", d)
	}
}

func TestNumbers(t *testing.T) {
	table := sample(512)
	for i, n := range []int{0, 5, 0} {
		table.Partitions[i].Number = n
	}
	got, err := Read(bytes.NewReader(write(t, table)), table.DiskSize)
	if err != nil || got.Partitions[0].Number != 1 || got.Partitions[1].Number != 5 || got.Partitions[2].Number != 6 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, numbers := range [][3]int{{1, 1, 2}, {2, 1, 0}, {1, 128, 0}, {-1, 0, 0}, {1, 2, 129}} {
		for i, n := range numbers {
			table.Partitions[i].Number = n
		}
		if _, _, err := table.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("numbers %v: %v", numbers, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, sector := range []int64{512, 4096} {
		front, back := reserved(sector)
		f.Add([]byte(write(f, &Table{SectorSize: sector, DiskSize: front + back + 8192, Partitions: []Partition{
			{Type: TypeRoot, ID: DeriveGUID("root"), Label: "root", Start: front, Size: 8192},
		}})))
	}
	f.Fuzz(func(t *testing.T, disk []byte) {
		if table, err := Current(bytes.NewReader(disk), int64(len(disk))); err == nil {
			if _, _, err := table.Encode(); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
		table, err := Read(bytes.NewReader(disk), int64(len(disk)))
		if err != nil {
			return
		}
		if _, _, err := table.Encode(); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

func FuzzParseGUID(f *testing.F) {
	f.Add(TypeRoot.String())
	f.Add(strings.ToUpper(TypeESP.String()))
	f.Add("4f68bce3e8cd-4db1-96e7-fbcaf984b70-9")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGUID(text)
		if err == nil && g.String() != strings.ToLower(text) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%q is %s, %v", text, g, err)
		}
	})
}
