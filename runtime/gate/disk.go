package gate

import (
	"context"
	"encoding/binary"
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

// A disk is a whole disk with its partition table.
type disk struct {
	root  string // of the tree that it was found in
	name  string // as in /sys/class/block
	table *gpt.Table
}

// maxDisks bounds how many disks are looked at.
const maxDisks = 256

// findDisk returns the disk with the root partition: the first in the order of
// names whose partition table has it. It waits for disks to show up until ctx
// ends, and returns ctx's error then.
func findDisk(ctx context.Context, root string, partition gpt.GUID) (*disk, error) {
	var found *disk
	err := watch.Uevents(ctx, func() (bool, error) {
		var err error
		found, err = scanDisks(root, partition)
		return found != nil, err
	})
	return found, err
}

// scanDisks looks at the disks that are there now. A disk that cannot be read,
// or has no partition table, is not the one.
func scanDisks(root string, partition gpt.GUID) (*disk, error) {
	entries, err := os.ReadDir(filepath.Join(root, "sys/class/block"))
	if err != nil {
		return nil, fmt.Errorf("look for disks: %w", err)
	}
	for _, e := range entries[:min(len(entries), maxDisks)] {
		d := &disk{root: root, name: e.Name()}
		if !d.physical() {
			continue
		}
		if d.table, err = d.readTable(); err != nil {
			continue
		}
		for _, p := range d.table.Partitions {
			if p.ID == partition && p.Type == gpt.TypeRoot {
				return d, nil
			}
		}
	}
	return nil, nil
}

func (d *disk) sysfs(name string) string {
	return filepath.Join(d.root, "sys/class/block", d.name, name)
}

// node is the device file. The kernel writes "!" for "/" in sysfs.
func (d *disk) node() string {
	return filepath.Join(d.root, "dev", strings.ReplaceAll(d.name, "!", "/"))
}

// physical leaves out partitions and what the kernel makes up by itself (loop,
// memory and device mapper devices).
func (d *disk) physical() bool {
	if _, err := os.Stat(d.sysfs("partition")); err == nil {
		return false
	}
	target, err := os.Readlink(filepath.Join(d.root, "sys/class/block", d.name))
	return err == nil && !strings.Contains(target, "/virtual/")
}

// open opens the disk for reading; the size is in bytes.
func (d *disk) open() (*os.File, int64, error) {
	sectors, err := readNumber(d.sysfs("size"))
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(d.node())
	if err != nil {
		return nil, 0, err
	}
	return f, sectors * 512, nil
}

func (d *disk) readTable() (*gpt.Table, error) {
	f, size, err := d.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return gpt.Read(f, tableSize(f, size))
}

// tableSize returns how much of the disk its partition table knows of. An image
// that was written to a larger disk keeps its second table where the image
// ended; Linux accepts that, and so do we.
func tableSize(r io.ReaderAt, size int64) int64 {
	const alternate = 32 // offset of AlternateLBA in the header
	for _, sector := range []int64{512, 4096} {
		var header [40]byte
		if _, err := r.ReadAt(header[:], sector); err != nil || string(header[:8]) != "EFI PART" {
			continue
		}
		last := binary.LittleEndian.Uint64(header[alternate:])
		if last < uint64(size/sector) {
			return int64(last+1) * sector
		}
	}
	return size
}

// find returns the partitions of a type, in the order of the table.
func (d *disk) find(kind gpt.GUID) []gpt.Partition {
	var all []gpt.Partition
	for _, p := range d.table.Partitions {
		if p.Type == kind {
			all = append(all, p)
		}
	}
	return all
}

// errNoNode: the kernel shows no partition there.
var errNoNode = errors.New("the kernel knows no such partition")

// partitionNode returns the device file of a partition: the one that sysfs shows
// at the same place of this disk.
func (d *disk) partitionNode(p gpt.Partition) (string, error) {
	entries, err := os.ReadDir(filepath.Join(d.root, "sys/class/block", d.name))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		start, err1 := readNumber(d.sysfs(filepath.Join(e.Name(), "start")))
		size, err2 := readNumber(d.sysfs(filepath.Join(e.Name(), "size")))
		if err1 == nil && err2 == nil && start*512 == p.Start && size*512 == p.Size {
			part := disk{root: d.root, name: e.Name()}
			return part.node(), nil
		}
	}
	return "", fmt.Errorf("partition %q of %s: %w", p.Label, d.name, errNoNode)
}

func readNumber(path string) (int64, error) {
	text, err := readAtMost(path, 64)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 54)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	return n, err
}
