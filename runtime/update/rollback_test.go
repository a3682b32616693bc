package update

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/runtime/update/updatetest"
)

func ignore(*State, *Rollback) {}

func TestRollBack(t *testing.T) {
	for _, c := range []struct {
		about         string
		slots         []updatetest.Slot
		entries, want []string
		next          string
	}{
		{"from a good one", slots("0.2", "0.1"), []string{"mangos_0.1.efi", "mangos_0.2.efi"}, []string{"mangos_0.1.efi", "mangos_0.2+0-0.efi"}, "0.1"},
		// One more than systemd-bless-boot would look for.
		{"from one on trial", slots("0.2", "0.1"), []string{"mangos_0.1.efi", "mangos_0.2+2-1.efi"}, []string{"mangos_0.1.efi", "mangos_0.2+0-2.efi"}, "0.1"},
		{"to a newer one that was never tried", slots("0.1", "0.2"), []string{"mangos_0.1.efi", "mangos_0.2+3-0.efi"}, []string{"mangos_0.1.efi", "mangos_0.2+3-0.efi"}, "0.2"},
		{"again", slots("0.2", "0.1"), []string{"mangos_0.1.efi", "mangos_0.2+0-0.efi"}, []string{"mangos_0.1.efi", "mangos_0.2+0-0.efi"}, "0.1"},
		{"to one on trial", slots("0.2", "0.1"), []string{"mangos_0.1+3.efi", "mangos_0.2.efi"}, []string{"mangos_0.1+3.efi", "mangos_0.2+0-0.efi"}, "0.1"},
		{"where the name is taken", slots("0.2", "0.1"), []string{"mangos_0.1.efi", "mangos_0.2+0-0.efi", "mangos_0.2.efi"}, []string{"mangos_0.1.efi", "mangos_0.2+0-0.efi", "mangos_0.2+0-1.efi"}, "0.1"},
		{"a try-out", slots("0.2", "0.1"), []string{"mangos-tryout_0.1.efi", "mangos-tryout_0.2.efi"}, []string{"mangos-tryout_0.1.efi", "mangos-tryout_0.2+0-0.efi"}, "0.1"},
	} {
		m := updatetest.New(t, c.slots, c.entries...)
		before := contents(t, m)
		if err := RollBack(t.Context(), m.Root, true, ignore); err != nil || !maps.Equal(before, contents(t, m)) {
			t.Errorf("%s, dry: %v, %q", c.about, err, m.Names())
		}
		if err := RollBack(t.Context(), m.Root, false, ignore); err != nil {
			t.Errorf("%s: %v", c.about, err)
		}
		after := contents(t, m)
		if names := slices.Sorted(maps.Keys(after)); !slices.Equal(names, slices.Sorted(slices.Values(c.want))) {
			t.Errorf("%s: %q", c.about, names)
		}
		// Nothing is lost: each content is there still.
		if !slices.Equal(slices.Sorted(maps.Values(before)), slices.Sorted(maps.Values(after))) {
			t.Errorf("%s: %q became %q", c.about, before, after)
		}
		if next := read(t, m).Next(); next.Version != c.next || next.Bad() {
			t.Errorf("%s: next is %+v", c.about, next)
		}
	}
}

func contents(t *testing.T, m *updatetest.Machine) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range m.Names() {
		raw, err := os.ReadFile(filepath.Join(m.Entries, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(raw)
	}
	return all
}

func TestRollBackRefuses(t *testing.T) {
	for _, c := range []struct {
		slots   []updatetest.Slot
		entries []string
		want    string
	}{
		{slots("0.2", ""), []string{"mangos_0.2.efi"}, "no other version"},
		{slots("0.2", "0.1"), []string{"mangos_0.2.efi", "mangos_0.1+0-3.efi"}, "0.1, is bad after 3 starts itself"},
		{slots("0.2", ""), []string{"mangos_0.2.efi", "mangos_0.1.efi"}, "no slot holds all of version 0.1"},
		// The first in the boot loader's order is what counts.
		{slots("0.2", "0.1"), []string{"mangos_0.2.efi", "mangos_0.1.efi", "mangos_0.1.5.efi"}, "no slot holds all of version 0.1.5"},
	} {
		m := updatetest.New(t, c.slots, c.entries...)
		before := m.Names()
		err := RollBack(t.Context(), m.Root, false, ignore)
		if !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.entries, err)
		}
		if after := m.Names(); !slices.Equal(before, after) {
			t.Errorf("%q became %q", before, after)
		}
	}
}

// cutFolder is a folder whose power is cut: after some steps none is taken, and what
// was not synced may be there or not.
type cutFolder struct {
	steps           int
	synced, current map[string]string
}

var errCut = errors.New("power cut")

func (f *cutFolder) step() error {
	if f.steps == 0 {
		return errCut
	}
	f.steps--
	return nil
}

func (f *cutFolder) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	if _, taken := f.current[to]; taken {
		return os.ErrExist
	}
	f.current = maps.Clone(f.current)
	f.current[to] = f.current[from]
	delete(f.current, from)
	return nil
}

func (f *cutFolder) Sync() error {
	if err := f.step(); err != nil {
		return err
	}
	f.synced = f.current
	return nil
}

// survivors are the folders that may be left: a vfat writes the new name and deletes the
// old one, in sectors whose order is not kept. So there may be both, or neither.
func (f *cutFolder) survivors() []map[string]string {
	both, neither := maps.Clone(f.synced), maps.Clone(f.synced)
	maps.Copy(both, f.current)
	maps.DeleteFunc(neither, func(name, _ string) bool { _, stays := f.current[name]; return !stays })
	return []map[string]string{f.synced, f.current, both, neither}
}

// Wherever the power goes, one of the two versions is started next, and doing it again
// leads to the other version.
func TestRollBackPowerCut(t *testing.T) {
	for _, entries := range [][]string{
		{"mangos_0.1.efi", "mangos_0.2.efi"},
		{"mangos_0.1.efi", "mangos_0.2+2-1.efi"},
		{"mangos_0.1.efi", "mangos_0.2.efi", "mangos_0.2+0-0.efi"},
		{"mangos_0.1.efi", "mangos_0.2.efi", "mangos_0.2+1-2.efi"},
	} {
		for steps := range 4 {
			m := updatetest.New(t, slots("0.2", "0.1"), entries...)
			r, err := planRollback(read(t, m))
			if err != nil {
				t.Fatal(err)
			}
			f := &cutFolder{steps: steps, synced: contents(t, m)}
			f.current = f.synced
			done := r.do(f) == nil
			for i, left := range f.survivors() {
				about := fmt.Sprintf("%q, cut after %d steps, survivor %d: %q", entries, steps, i, slices.Sorted(maps.Keys(left)))
				again := updatetest.New(t, slots("0.2", "0.1"), slices.Collect(maps.Keys(left))...)
				next := read(t, again).Next()
				if next == nil || next.Bad() || done && next.Version != "0.1" {
					t.Errorf("%s: done %v, next is %+v", about, done, next)
				}
				if err := RollBack(t.Context(), again.Root, false, ignore); err != nil || read(t, again).Next().Version != "0.1" {
					t.Errorf("%s: again: %v, %q", about, err, again.Names())
				}
			}
		}
	}
}

// One at a time, and nobody waits.
func TestLock(t *testing.T) {
	m := updatetest.New(t, slots("0.2", "0.1"), "mangos_0.1.efi", "mangos_0.2.efi")
	held, err := lock(m.Root)
	if err != nil {
		t.Fatal(err)
	}
	err = RollBack(t.Context(), m.Root, false, ignore)
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("process %q", fmt.Sprint(os.Getpid()))) {
		t.Errorf("rollback: %v", err)
	}
	if err := RollBack(context.WithoutCancel(t.Context()), m.Root, true, ignore); err != nil {
		t.Errorf("a dry run needs no lock: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := RollBack(t.Context(), m.Root, false, ignore); err != nil {
		t.Error(err)
	}
}

// What came to be meanwhile is not replaced.
func TestRenameReplacesNothing(t *testing.T) {
	m := updatetest.New(t, slots("0.1", ""), "mangos_0.1.efi", "mangos_0.1+0-0.efi")
	before := contents(t, m)
	dir, err := os.Open(m.Entries)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := (names{dir}).Rename("mangos_0.1.efi", "mangos_0.1+0-0.efi"); !errors.Is(err, os.ErrExist) {
		t.Errorf("to a name that is taken: %v", err)
	}
	if err := (names{dir}).Rename("mangos_0.2.efi", "mangos_0.2+0-0.efi"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("from a name that is gone: %v", err)
	}
	if after := contents(t, m); !maps.Equal(before, after) {
		t.Errorf("%q became %q", before, after)
	}
}
