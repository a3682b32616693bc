// Package updatetest makes fake machines with two slots, for tests.
package updatetest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/disk/disktest"
)

// Machine is the tree of a machine that runs an image named mangos.
type Machine struct {
	// Root is where it lies, Disk the file with its disk, Entries the folder of the
	// boot entries.
	Root, Disk, Entries string

	t testing.TB
}

// A Slot holds a version; none if it is empty. The zero root hash stands for Hash of
// the version.
type Slot struct {
	Version string
	Root    verity.RootHash
}

// Hash is a root hash for a version.
func Hash(version string) verity.RootHash { return sha256.Sum256([]byte(version)) }

// New makes a machine that runs the version of the first slot, with boot entries.
func New(t testing.TB, slots []Slot, entries ...string) *Machine {
	t.Helper()
	root := t.TempDir()
	m := &Machine{Root: root, Entries: filepath.Join(root, "efi/EFI/Linux"), t: t}
	m.Write("usr/lib/os-release", "NAME=\"mangos\"\nIMAGE_ID=mangos\nIMAGE_VERSION="+slots[0].Version+"\n")
	m.Write("proc/cmdline", fmt.Sprintf("roothash=%s quiet\n", slots[0].root()))
	m.Write("dev/console", "")
	m.Write("dev/kmsg", "")
	m.Write("sys/firmware/efi/efivars/x", "")
	m.Disk = disktest.Add(t, root, "vda", Table(slots...))
	if err := os.MkdirAll(m.Entries, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range entries {
		m.Write("efi/EFI/Linux/"+name, name)
	}
	return m
}

func (s Slot) root() verity.RootHash {
	if s.Root == (verity.RootHash{}) {
		return Hash(s.Version)
	}
	return s.Root
}

// Table is a disk's partition table with these slots. An empty one has partitions
// labelled so that systemd-sysupdate takes them for free.
func Table(slots ...Slot) *gpt.Table {
	const empty = "_empty"
	table := &gpt.Table{SectorSize: 512, DiskID: gpt.DeriveGUID("disk"), Partitions: []gpt.Partition{
		{Type: gpt.TypeESP, ID: gpt.DeriveGUID("esp"), Label: "esp", Size: 1 << 20},
	}}
	for i, s := range slots {
		parts := []gpt.Partition{
			{Type: gpt.TypeRootVeritySig, Label: empty, Size: 16 << 10},
			{Type: gpt.TypeRootVerity, Label: empty, Size: 1 << 20},
			{Type: gpt.TypeRoot, Label: empty, Size: 2 << 20},
		}
		for j := range parts {
			parts[j].ID = gpt.DeriveGUID("slot", fmt.Sprint(i, j))
		}
		if s.Version != "" {
			hash := s.root()
			for j, after := range []string{"_verity_sig", "_verity", ""} {
				parts[j].Label = "mangos_" + s.Version + after
				parts[j].Attributes = gpt.ReadOnly
			}
			copy(parts[1].ID[:], hash[16:])
			copy(parts[2].ID[:], hash[:16])
		}
		table.Partitions = append(table.Partitions, parts...)
	}
	table.Layout()
	return table
}

// Write writes a file of the machine.
func (m *Machine) Write(path, text string) {
	m.t.Helper()
	write(m.t, filepath.Join(m.Root, path), text, 0o600)
}

// Names lists the boot entries.
func (m *Machine) Names() []string {
	m.t.Helper()
	entries, err := os.ReadDir(m.Entries)
	if err != nil {
		m.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Sysupdate makes a program that does to the machine what systemd-sysupdate does: the
// disk has these slots afterwards, and there is a new boot entry. Its arguments lie in
// sysupdate.args of the machine's tree afterwards.
func (m *Machine) Sysupdate(slots []Slot, entry string) string {
	m.t.Helper()
	dir := m.t.TempDir()
	disk := disktest.Add(m.t, dir, "vda", Table(slots...))
	program := filepath.Join(dir, "sysupdate")
	write(m.t, program, fmt.Sprintf("#!/bin/sh\necho fake: \"$@\" >&2\necho \"$@\" >%[1]s/sysupdate.args\ncp %[2]s %[3]s && echo new >%[4]s/%[5]s\n",
		m.Root, disk, m.Disk, m.Entries, entry), 0o700)
	return program
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
