package update

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/firmware"
)

// A Slot is a place for a version of the system.
type Slot struct {
	// Version that it holds, empty if none, or none that is whole.
	Version string `json:"version"`
	// Root is the identifiers of the version's root and hash tree: its root hash.
	Root verity.RootHash `json:"-"`
	// Running says whether the machine runs from it.
	Running bool `json:"running"`
	// Entry starts it; nil if the boot loader has none.
	Entry *Entry `json:"entry"`
}

// State is what a machine holds, and what it starts.
type State struct {
	// Image is the system's name, Running the version that runs.
	Image   string `json:"image"`
	Running string `json:"running"`
	// Slots in the order of the disk.
	Slots []Slot `json:"slots"`
	// Entries of the boot loader, in its order.
	Entries []Entry `json:"-"`
	// Chosen is the pattern of entries that a variable of the firmware makes the
	// boot loader start, whatever their counters; Variable is its name.
	Chosen   string `json:"chosen,omitempty"`
	Variable string `json:"variable,omitempty"`

	// folder has the entries.
	folder string
}

const (
	// maxEntries bounds how many boot entries are looked at.
	maxEntries = 1000
	maxText    = 64 << 10
	// diskTime is how long the running root's disk may take to show up: it is there.
	diskTime = 10 * time.Second
)

// Read looks at the machine whose tree is at root ("/" on a machine). Errors wrap
// ErrMachine.
func Read(ctx context.Context, root string) (*State, error) {
	s := &State{}
	for _, step := range []func() error{
		func() error { return s.readRelease(root) },
		func() error { return s.readEntries(root) },
		func() error { return s.readSlots(ctx, root) },
		func() error { return s.readChoice(root) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMachine, err)
		}
	}
	return s, nil
}

// readRelease reads the name and version that the running system gives itself.
func (s *State) readRelease(root string) error {
	raw, err := readText(filepath.Join(root, "usr/lib/os-release"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(raw) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "IMAGE_ID":
			s.Image = value
		case "IMAGE_VERSION":
			s.Running = value
		}
	}
	if !entryFile.MatchString(s.Image + "_" + s.Running) {
		return fmt.Errorf("/usr/lib/os-release says IMAGE_ID %.60q and IMAGE_VERSION %.60q, which are no name and version", s.Image, s.Running)
	}
	return nil
}

func readText(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxText))
	return string(raw), err
}

// readEntries reads the boot entries of this image from the EFI system partition,
// wherever systemd mounts it. Those of others are not ours to judge.
func (s *State) readEntries(root string) error {
	for _, place := range []string{"efi", "boot", "boot/efi"} {
		folder := filepath.Join(root, place, "EFI/Linux")
		dir, err := os.Open(folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer dir.Close()
		names, err := dir.Readdirnames(maxEntries)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: %w", folder, err)
		}
		for _, name := range names {
			if e, ok := ParseEntry(name); ok && (e.Product == s.Image || e.Product == s.Image+"-tryout") {
				s.Entries = append(s.Entries, e)
			}
		}
		sortEntries(s.Entries)
		s.folder = folder
		return nil
	}
	return errors.New("no EFI system partition with a folder EFI/Linux is mounted on /efi or /boot; mount it")
}

// readSlots reads the partition table of the disk that the root is on.
func (s *State) readSlots(ctx context.Context, root string) error {
	line, err := readText(filepath.Join(root, "proc/cmdline"))
	if err != nil {
		return err
	}
	hash, err := disk.RootHash(line)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, diskTime)
	defer cancel()
	id := disk.RootPartition(hash)
	d, err := disk.Find(ctx, root, id)
	if err != nil {
		return fmt.Errorf("find the disk with the root partition %s: %w", id, err)
	}
	for _, p := range d.Partitions(gpt.TypeRoot) {
		slot := Slot{Running: p.ID == id}
		if v, ok := strings.CutPrefix(p.Label, s.Image+"_"); ok {
			slot.complete(d, p, v)
		}
		if slot.Running && slot.Version != s.Running {
			return fmt.Errorf("version %s runs, and %s has not one root, hash tree and signature labelled so (its root is labelled %.60q)", s.Running, d.Name, p.Label)
		}
		slot.Entry = s.entry(slot.Version)
		s.Slots = append(s.Slots, slot)
	}
	return nil
}

// complete notes the version of a slot where all of it is there, once. systemd-sysupdate
// gives a partition its label when it is written.
func (slot *Slot) complete(d *disk.Disk, root gpt.Partition, v string) {
	roots := labelled(d, gpt.TypeRoot, root.Label)
	trees := labelled(d, gpt.TypeRootVerity, root.Label+"_verity")
	signatures := labelled(d, gpt.TypeRootVeritySig, root.Label+"_verity_sig")
	if len(roots) != 1 || len(trees) != 1 || len(signatures) != 1 {
		return
	}
	slot.Version = v
	copy(slot.Root[:16], root.ID[:])
	copy(slot.Root[16:], trees[0].ID[:])
}

func labelled(d *disk.Disk, kind gpt.GUID, label string) (found []gpt.Partition) {
	for _, p := range d.Partitions(kind) {
		if p.Label == label {
			found = append(found, p)
		}
	}
	return found
}

// readChoice reads what an operator told the boot loader to start, next time or
// always: systemd-boot goes by that first.
func (s *State) readChoice(root string) error {
	for _, name := range []string{"LoaderEntryOneShot", "LoaderEntryDefault"} {
		v, err := firmware.ReadVariable(root, name, firmware.LoaderVariable)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if s.Chosen = text(v.Data); s.Chosen != "" && s.chosen() != nil {
			s.Variable = name
			return nil
		}
	}
	s.Chosen = ""
	return nil
}

// text reads the UTF-16 of an EFI variable, up to its end or a zero.
func text(raw []byte) string {
	var units []uint16
	for ; len(raw) >= 2; raw = raw[2:] {
		u := binary.LittleEndian.Uint16(raw)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// chosen is the entry that a variable of the firmware names: the first that
// matches, with counters or without.
func (s *State) chosen() *Entry {
	for i := range s.Entries {
		if ok, err := path.Match(strings.ToLower(s.Chosen), s.Entries[i].id()); ok && err == nil {
			return &s.Entries[i]
		}
	}
	return nil
}

// chosenError says that the boot loader does not go by what is good or bad.
func (s *State) chosenError() error {
	return fmt.Errorf("%w: the firmware's variable %s makes the boot loader start %q, good or bad; unset it first (bootctl set-default '', bootctl set-oneshot '')",
		ErrNotNow, s.Variable, s.Chosen)
}

// entry is the one that the boot loader would take of a version's, if there are
// several: nil if there is none.
func (s *State) entry(v string) *Entry {
	for i := range s.Entries {
		if v != "" && s.Entries[i].Version == v {
			return &s.Entries[i]
		}
	}
	return nil
}

// slot is the one with the version, nil if there is none.
func (s *State) slot(v string) *Slot {
	for i := range s.Slots {
		if v != "" && s.Slots[i].Version == v {
			return &s.Slots[i]
		}
	}
	return nil
}

// Next is the entry that the boot loader starts next, nil if it has none.
func (s *State) Next() *Entry {
	if s.Variable != "" {
		return s.chosen()
	}
	if len(s.Entries) == 0 {
		return nil
	}
	return &s.Entries[0]
}

// Fallback is the entry that the boot loader starts when the version that it starts
// next does not prove good; nil if there is none, or the slot of it is not whole.
func (s *State) Fallback() *Entry {
	next := s.Next()
	for i := range s.Entries {
		e := &s.Entries[i]
		if next != nil && e.Version == next.Version {
			continue
		}
		if e.Bad() || s.slot(e.Version) == nil {
			return nil
		}
		return e
	}
	return nil
}
