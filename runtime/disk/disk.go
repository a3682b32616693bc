// Package disk finds the machine's disks in sysfs, with their partition tables,
// and the device files of their partitions.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/watch"
)

// A Disk is a whole disk with its partition table.
type Disk struct {
	// Root is the tree that it was found in, "/" on a machine.
	Root string
	// Name is its name in /sys/class/block.
	Name string
	// Table is the partition table that counts.
	Table *gpt.Table
}

// maxDisks bounds how many disks are looked at.
const maxDisks = 256

// Find returns the disk with the root partition: the first in the order of
// names whose partition table has it. It waits for disks to show up until ctx
// ends, and returns ctx's error then.
func Find(ctx context.Context, root string, partition gpt.GUID) (*Disk, error) {
	var found *Disk
	err := watch.Uevents(ctx, func() (bool, error) {
		var err error
		found, err = scan(root, partition)
		return found != nil, err
	})
	return found, err
}

// scan looks at the disks that are there now. A disk that cannot be read,
// or has no partition table, is not the one.
func scan(root string, partition gpt.GUID) (*Disk, error) {
	entries, err := os.ReadDir(filepath.Join(root, "sys/class/block"))
	if err != nil {
		return nil, fmt.Errorf("look for disks: %w", err)
	}
	for _, e := range entries[:min(len(entries), maxDisks)] {
		d := &Disk{Root: root, Name: e.Name()}
		if !d.physical() {
			continue
		}
		if d.Table, err = d.readTable(); err != nil {
			continue
		}
		for _, p := range d.Table.Partitions {
			if p.ID == partition && p.Type == gpt.TypeRoot {
				return d, nil
			}
		}
	}
	return nil, nil
}

func (d *Disk) sysfs(name string) string {
	return filepath.Join(d.Root, "sys/class/block", d.Name, name)
}

// Node is the device file. The kernel writes "!" for "/" in sysfs.
func (d *Disk) Node() string {
	return filepath.Join(d.Root, "dev", strings.ReplaceAll(d.Name, "!", "/"))
}

// physical leaves out partitions and what the kernel makes up by itself (loop,
// memory and device mapper devices).
func (d *Disk) physical() bool {
	if _, err := os.Stat(d.sysfs("partition")); err == nil {
		return false
	}
	target, err := os.Readlink(filepath.Join(d.Root, "sys/class/block", d.Name))
	return err == nil && !strings.Contains(target, "/virtual/")
}

// Open opens the disk for reading; the size is in bytes.
func (d *Disk) Open() (*os.File, int64, error) {
	sectors, err := readNumber(d.sysfs("size"))
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(d.Node())
	if err != nil {
		return nil, 0, err
	}
	return f, sectors * 512, nil
}

func (d *Disk) readTable() (*gpt.Table, error) {
	f, size, err := d.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return gpt.Current(f, size)
}

// Partitions returns the partitions of a type, in the order of the table.
func (d *Disk) Partitions(kind gpt.GUID) []gpt.Partition {
	var all []gpt.Partition
	for _, p := range d.Table.Partitions {
		if p.Type == kind {
			all = append(all, p)
		}
	}
	return all
}

// ErrNoNode: the kernel shows no partition there.
var ErrNoNode = errors.New("the kernel knows no such partition")

// PartitionNode returns the device file of a partition: the one that sysfs shows
// at the same place of this disk.
func (d *Disk) PartitionNode(p gpt.Partition) (string, error) {
	entries, err := os.ReadDir(filepath.Join(d.Root, "sys/class/block", d.Name))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		start, err1 := readNumber(d.sysfs(filepath.Join(e.Name(), "start")))
		size, err2 := readNumber(d.sysfs(filepath.Join(e.Name(), "size")))
		if err1 == nil && err2 == nil && start*512 == p.Start && size*512 == p.Size {
			part := Disk{Root: d.Root, Name: e.Name()}
			return part.Node(), nil
		}
	}
	return "", fmt.Errorf("partition %q of %s: %w", p.Label, d.Name, ErrNoNode)
}

// readNumber reads one of sysfs's numbers.
func readNumber(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 54)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	return n, err
}
