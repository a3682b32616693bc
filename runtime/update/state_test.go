package update

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/update/updatetest"
)

func slots(versions ...string) (all []updatetest.Slot) {
	for _, v := range versions {
		all = append(all, updatetest.Slot{Version: v})
	}
	return all
}

func read(t *testing.T, m *updatetest.Machine) *State {
	t.Helper()
	s, err := Read(t.Context(), m.Root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What people read, for each state that a machine comes to.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		about   string
		slots   []updatetest.Slot
		entries []string
		want    string
	}{
		{"installed", slots("0.1", ""), []string{"mangos_0.1+2-1.efi"},
			"A 0.1 running, on trial, 2 starts left|B - empty, or not whole|next start: 0.1, on trial, 2 starts left; there is nothing to fall back to"},
		{"proved good", slots("0.1", ""), []string{"mangos_0.1.efi"},
			"A 0.1 running, good|B - empty, or not whole|next start: 0.1, good"},
		{"applied", slots("0.1", "0.2"), []string{"mangos_0.1.efi", "mangos_0.2+3-0.efi"},
			"A 0.1 running, good|B 0.2 on trial, 3 starts left|next start: 0.2, on trial, 3 starts left; falls back to 0.1"},
		{"fell back", slots("0.1", "0.2"), []string{"mangos_0.1.efi", "mangos_0.2+0-3.efi"},
			"A 0.1 running, good|B 0.2 bad after 3 starts|next start: 0.1, good"},
		{"rolled back", slots("0.2", "0.1"), []string{"mangos_0.1.efi", "mangos_0.2+0-0.efi"},
			"A 0.2 running, set aside|B 0.1 good|next start: 0.1, good"},
		{"both bad", slots("0.2", "0.1"), []string{"mangos_0.1+0-1.efi", "mangos_0.2+0-3.efi"},
			"A 0.2 running, bad after 3 starts|B 0.1 bad after 1 start|next start: 0.2, bad after 3 starts; there is nothing to fall back to"},
		{"not whole", slots("0.1", ""), []string{"mangos_0.1+1-2.efi", "mangos_0.0.efi"},
			"A 0.1 running, on trial, 1 start left|B - empty, or not whole|next start: 0.1, on trial, 1 start left; there is nothing to fall back to"},
		{"try-out, and the files of others", slots("0.1"), []string{"mangos-tryout_0.1.efi", "debian_7.efi", "mangos_0.1.efi.bak"},
			"A 0.1 running, good|next start: 0.1, good"},
		{"none", slots("0.1"), nil, "A 0.1 running, no boot entry|next start: the boot loader has no entry"},
	} {
		got := read(t, updatetest.New(t, c.slots, c.entries...)).Lines()
		for i := range got {
			got[i] = strings.Join(strings.Fields(got[i]), " ")
		}
		if text := strings.Join(got[1:], "|"); text != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.about, text, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		slots   []updatetest.Slot
		entries []string
		want    []string
	}{
		{slots("0.1", ""), []string{"mangos_0.1.efi"}, nil},
		{slots("0.1", "0.2"), []string{"mangos_0.1.efi", "mangos_0.2+3-0.efi"}, nil},
		{slots("0.1", "0.2"), []string{"mangos_0.1.efi", "mangos_0.2+0-3.efi"}, []string{"version 0.2 is bad after 3 starts, version 0.1 runs instead"}},
		{slots("0.2", "0.1"), []string{"mangos_0.1.efi", "mangos_0.2+2-1.efi"}, []string{"version 0.2 is on trial, 2 starts left"}},
		{slots("0.2", "0.1"), []string{"mangos_0.1.efi", "mangos_0.2+0-1.efi"}, []string{"version 0.2 runs although it is bad after 1 start"}},
		{slots("0.1", "0.2"), []string{"mangos_0.1.efi"}, []string{"version 0.2 lies in a slot"}},
		{slots("0.1", ""), nil, []string{"no entry for version 0.1"}},
	} {
		got := read(t, updatetest.New(t, c.slots, c.entries...)).Warnings()
		if len(got) != len(c.want) || len(got) > 0 && !strings.Contains(got[0], c.want[0]) {
			t.Errorf("%q: %q, want %q", c.entries, got, c.want)
		}
	}
}

// variable is a variable of the firmware with a text.
func variable(text string) string {
	raw := []byte{7, 0, 0, 0}
	for _, u := range append(utf16.Encode([]rune(text)), 0) {
		raw = binary.LittleEndian.AppendUint16(raw, u)
	}
	return string(raw)
}

// What a variable names is started, good or bad; what matches no entry is ignored.
func TestChosen(t *testing.T) {
	const place = "sys/firmware/efi/efivars/%-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
	for name, value := range map[string]string{"LoaderEntryDefault": "mangos_0.1.efi", "LoaderEntryOneShot": "MANGOS_0.1*"} {
		m := updatetest.New(t, slots("0.2", "0.1"), "mangos_0.2.efi", "mangos_0.1+0-0.efi")
		m.Write(strings.Replace(place, "%", name, 1), variable(value))
		s := read(t, m)
		if next := s.Next(); next == nil || next.Version != "0.1" || s.Variable != name {
			t.Errorf("%s: next is %+v", name, next)
		}
		if _, err := planRollback(s); !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), name) {
			t.Errorf("rollback: %v", err)
		}
		if err := s.Ready(); !errors.Is(err, ErrNotNow) {
			t.Errorf("apply: %v", err)
		}
		m.Write(strings.Replace(place, "%", name, 1), variable("other.efi"))
		if s := read(t, m); s.Next().Version != "0.2" || s.Variable != "" || s.Chosen != "" {
			t.Errorf("%s of another: %+v", name, s)
		}
	}
}

// A version counts as there when root, hash tree and signature are, once each.
func TestNotWhole(t *testing.T) {
	for _, kind := range []gpt.GUID{gpt.TypeRoot, gpt.TypeRootVerity, gpt.TypeRootVeritySig} {
		for _, label := range []string{"_empty", "mangos_0.1", "mangos_0.1_verity", "mangos_0.1_verity_sig"} {
			m := updatetest.New(t, slots("0.1", "0.2"), "mangos_0.1.efi", "mangos_0.2.efi")
			if read(t, m).slot("0.2") == nil {
				t.Fatal("it is not there at all")
			}
			table := updatetest.Table(slots("0.1", "0.2")...)
			for i := range table.Partitions {
				if p := &table.Partitions[i]; p.Type == kind && strings.HasPrefix(p.Label, "mangos_0.2") {
					p.Label = label
				}
			}
			f, err := os.OpenFile(m.Disk, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := table.Write(f); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			s, err := Read(t.Context(), m.Root)
			if err == nil && s.slot("0.2") != nil {
				t.Errorf("whole, though %s is labelled %q", kind, label)
			}
			// Two of the running version: which of them runs?
			twice := kind == gpt.TypeRoot && label == "mangos_0.1" || kind == gpt.TypeRootVerity && label == "mangos_0.1_verity" || kind == gpt.TypeRootVeritySig && label == "mangos_0.1_verity_sig"
			if twice != errors.Is(err, ErrMachine) {
				t.Errorf("%s labelled %q: %v", kind, label, err)
			}
		}
	}
}

// A machine that cannot be understood is not touched.
func TestReadRefuses(t *testing.T) {
	for about, c := range map[string]struct {
		change func(*updatetest.Machine)
		want   string
	}{
		"no ESP":          {func(m *updatetest.Machine) { _ = os.RemoveAll(filepath.Join(m.Root, "efi")) }, "mount it"},
		"no root hash":    {func(m *updatetest.Machine) { m.Write("proc/cmdline", "quiet\n") }, "roothash="},
		"no version":      {func(m *updatetest.Machine) { m.Write("usr/lib/os-release", "IMAGE_ID=mangos\n") }, "IMAGE_VERSION"},
		"another version": {func(m *updatetest.Machine) { m.Write("usr/lib/os-release", "IMAGE_ID=mangos\nIMAGE_VERSION=9\n") }, "label"},
		"no such disk":    {func(m *updatetest.Machine) { _ = os.Truncate(m.Disk, 0) }, "find the disk"},
		"a broken setting": {func(m *updatetest.Machine) {
			m.Write("sys/firmware/efi/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "x")
		}, "LoaderEntryDefault"},
	} {
		m := updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi")
		c.change(m)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := Read(ctx, m.Root); !errors.Is(err, ErrMachine) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", about, err)
		}
	}
}
