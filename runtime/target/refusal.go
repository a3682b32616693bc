package target

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/firmware"
)

// uses are what the system does with block devices: by device number
// ("8:1") or path.
type uses map[string]string

// maxLines bounds what is read of /proc.
const maxLines = 10000

// readUses reads mounts and swap areas.
func readUses(root string) (uses, error) {
	used := uses{}
	err := readLines(filepath.Join(root, "proc/self/mountinfo"), func(fields []string) {
		if len(fields) > 4 {
			used[fields[2]] = "it is mounted at " + clean(fields[4])
		}
	})
	if err != nil {
		return nil, err
	}
	err = readLines(filepath.Join(root, "proc/swaps"), func(fields []string) {
		if len(fields) > 1 && strings.HasPrefix(fields[0], "/dev/") {
			used[fields[0]] = "it is used for swap"
		}
	})
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return used, nil
}

func readLines(path string, each func(fields []string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(io.LimitReader(f, 16<<20))
	for n := 0; s.Scan() && n < maxLines; n++ {
		each(strings.Fields(s.Text()))
	}
	return s.Err()
}

// refusal is why a disk cannot be installed to.
func refusal(root string, d *Disk, device string, used uses, minimum int64) string {
	switch {
	case d.Size == 0:
		return "there is no medium in it"
	case number(device, "ro") == 1:
		return "it is read-only"
	case d.SectorSize != 512 && d.SectorSize != 4096:
		return fmt.Sprintf("its sectors have %d bytes", d.SectorSize)
	case booted(root, d.table):
		return "the machine was started from it"
	}
	if use := inUse(device, d.Path, used); use != "" {
		return use
	}
	if d.Size < minimum {
		return tooSmall(minimum)
	}
	return ""
}

func tooSmall(minimum int64) string {
	return "it is too small, " + size(minimum) + " are needed"
}

// inUse looks at the disk and its partitions.
func inUse(device, path string, used uses) string {
	if use := oneInUse(device, path, used); use != "" {
		return use
	}
	entries, err := os.ReadDir(device)
	if err != nil {
		return "it cannot be looked at"
	}
	for _, e := range entries {
		part := filepath.Join(device, e.Name())
		if !exists(filepath.Join(part, "partition")) {
			continue
		}
		if use := oneInUse(part, "/dev/"+strings.ReplaceAll(e.Name(), "!", "/"), used); use != "" {
			return use
		}
	}
	return ""
}

func oneInUse(device, path string, used uses) string {
	for _, key := range []string{text(device, "dev"), path} {
		if use := used[key]; key != "" && use != "" {
			return use
		}
	}
	if holders, err := os.ReadDir(filepath.Join(device, "holders")); err == nil && len(holders) > 0 {
		return "it is used by " + clean(holders[0].Name())
	}
	return ""
}

// booted says whether the boot loader was started from the disk: it notes the
// partition in a variable, Boot Loader Interface.
func booted(root string, t *gpt.Table) bool {
	v, err := firmware.ReadVariable(root, "LoaderDevicePartUUID", firmware.LoaderVariable)
	if err != nil || t == nil {
		return false
	}
	var units []uint16
	for i := 0; i+1 < len(v.Data); i += 2 {
		units = append(units, uint16(v.Data[i])|uint16(v.Data[i+1])<<8)
	}
	id, err := gpt.ParseGUID(strings.TrimRight(string(utf16.Decode(units)), "\x00"))
	if err != nil {
		return false
	}
	for _, p := range t.Partitions {
		if p.ID == id {
			return true
		}
	}
	return false
}

// Twins returns the disks other than d that have the root with this hash: a
// machine with two of them may start from either.
func Twins(all []*Disk, d *Disk, root verity.RootHash) []*Disk {
	var twins []*Disk
	for _, other := range all {
		if other == d || other.table == nil {
			continue
		}
		for _, p := range other.table.Partitions {
			if p.Type == gpt.TypeRoot && p.ID == disk.RootPartition(root) {
				twins = append(twins, other)
				break
			}
		}
	}
	return twins
}
