package update

import (
	"slices"
	"testing"
)

func TestParseEntry(t *testing.T) {
	for file, want := range map[string]Entry{
		"mangos_0.1.efi":             {Product: "mangos", Version: "0.1", Left: good},
		"mangos_0.1+3.efi":           {Product: "mangos", Version: "0.1", Left: 3},
		"mangos_0.1+2-1.efi":         {Product: "mangos", Version: "0.1", Left: 2, Done: 1},
		"mangos_0.1+0-0.efi":         {Product: "mangos", Version: "0.1"},
		"mangos-tryout_1~rc1+0.efi":  {Product: "mangos-tryout", Version: "1~rc1"},
		"mangos_2026-01-01+1-2.efi":  {Product: "mangos", Version: "2026-01-01", Left: 1, Done: 2},
		"mangos_1^20260101+10-9.efi": {Product: "mangos", Version: "1^20260101", Left: 10, Done: 9},
	} {
		want.File = file
		if e, ok := ParseEntry(file); !ok || e != want {
			t.Errorf("%s: %+v, %v", file, e, ok)
		}
	}
	for _, file := range []string{
		"", ".efi", "mangos.efi", "mangos_.efi", "_1.efi", "mangos_1.EFI", "mangos_1.efi.tmp", ".#mangos_1.efi", "mangos_1+.efi", "mangos_1+-1.efi",
		"mangos_1+1-.efi", "mangos_1+1+1.efi", "mangos_1+x.efi", "mangos_1+00001.efi", "mangos_1/2.efi", "mangos_1+1-1-1.efi",
	} {
		if e, ok := ParseEntry(file); ok {
			t.Errorf("%s: %+v", file, e)
		}
	}
}

// The order is that of systemd-boot's boot_entry_compare.
func TestOrder(t *testing.T) {
	want := []string{"mangos_0.10+1-2.efi", "mangos_0.9.efi", "mangos_0.9~rc1+3-0.efi", "mangos_0.11+0-3.efi", "mangos_0.8+0-0.efi"}
	for _, names := range [][]string{want, {want[4], want[1], want[3], want[0], want[2]}} {
		var all []Entry
		for _, name := range names {
			e, _ := ParseEntry(name)
			all = append(all, e)
		}
		sortEntries(all)
		var got []string
		for _, e := range all {
			got = append(got, e.File)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	for _, name := range []string{"mangos_0.1.efi", "mangos_0.1+3.efi", "mangos-tryout_0.1+2-1.efi", "mangos_0.1+0-0.efi"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, file string) {
		e, ok := ParseEntry(file)
		if !ok {
			return
		}
		if e.Left < good || e.Done < 0 || e.File != file {
			t.Fatalf("%q: %+v", file, e)
		}
		// Marked as bad it is the same version, and bad.
		b, ok := ParseEntry(e.bad(e.Done))
		if !ok || !b.Bad() || b.id() != e.id() || b.Done != e.Done {
			t.Fatalf("%q: %+v", file, b)
		}
	})
}
