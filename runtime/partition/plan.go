// Package partition lays out the rest of the disk when a machine starts for the
// first time: the second slot, and the encrypted volumes for swap, /var/tmp and
// /var, sealed to the TPM. On later boots it looks whether they are the machine's
// own.
//
// A power cut at any moment leaves a disk that the next start finishes. All that
// is new is made in space that no partition covers, and then the partition table
// is replaced by the write of one sector: before it there is nothing of ours,
// after it everything. So what a partition covers is never formatted, and a disk
// with data that is not ours never touched.
package partition

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mastercard/mangos/attest/strictjson"
	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/format/verity"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/luks"
)

var (
	// ErrSizes: the file with the sizes is not what it should be.
	ErrSizes = errors.New("not the sizes of a disk")
	// ErrSmall: the disk has not the room.
	ErrSmall = errors.New("the disk is too small")
	// ErrForeign: something on the disk is not this machine's.
	ErrForeign = errors.New("not made by this machine")
	// ErrLayout: the disk's partitions are not as the image has them.
	ErrLayout = errors.New("not the partitions of an installed system")
)

// SizesFile is the file in the initrd with the sizes, JSON.
const SizesFile = "etc/mangos/disk.json"

// Sizes are sizes of partitions in bytes. /var takes what is left, and Var is
// the least it needs.
type Sizes struct {
	Swap int64 `json:"swap"`
	Tmp  int64 `json:"tmp"`
	Var  int64 `json:"var"`
}

const (
	// minVolume is the least size of a volume: its header and as much again.
	minVolume = 2 * luks.HeaderSize
	maxVolume = 1 << 50
)

// Check refuses sizes that no disk is laid out with. Errors wrap ErrSizes.
func (s Sizes) Check() error {
	for name, size := range map[string]int64{"swap": s.Swap, "tmp": s.Tmp, "var": s.Var} {
		if size < minVolume || size > maxVolume || size%gpt.Align != 0 {
			return fmt.Errorf("%w: %s = %d bytes, want whole MiB, at least %d", ErrSizes, name, size, int64(minVolume))
		}
	}
	return nil
}

// ReadSizes reads SizesFile of the tree at root ("/" in an initrd). Errors wrap
// ErrSizes, or are the file's.
func ReadSizes(root string) (Sizes, error) {
	f, err := os.Open(filepath.Join(root, SizesFile))
	if err != nil {
		return Sizes{}, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return Sizes{}, err
	}
	return ParseSizes(raw)
}

// ParseSizes reads the content of SizesFile. Errors wrap ErrSizes.
func ParseSizes(raw []byte) (Sizes, error) {
	var s Sizes
	if err := strictjson.UnmarshalKnown(raw, &s); err != nil {
		return Sizes{}, fmt.Errorf("%w: %w", ErrSizes, err)
	}
	return s, s.Check()
}

// MachineID is the machine's id, as in /etc/machine-id.
type MachineID [16]byte

// ParseMachineID reads the SMBIOS UUID, which is the machine id of a system that
// runs with systemd.machine_id=firmware.
func ParseMachineID(uuid string) (MachineID, error) {
	g, err := gpt.ParseGUID(uuid)
	return MachineID(g), err
}

// A volume is an encrypted partition.
type volume struct {
	kind  gpt.GUID
	label string
}

// The volumes, in the order in which they lie on the disk: /var is the last,
// because it takes what is left.
var volumes = []volume{{gpt.TypeSwap, "swap"}, {gpt.TypeTmp, "tmp"}, {gpt.TypeVar, "var"}}

// ID is the partition identifier of the machine's volume of a type: the
// Discoverable Partitions Specification asks for it for /var, and the others
// follow suit, so that a disk from another machine is noticed. HMAC-SHA256 with
// the machine id as key, marked as version 4: sd_id128_get_machine_app_specific(3).
func (m MachineID) ID(kind gpt.GUID) (id gpt.GUID) {
	h := hmac.New(sha256.New, m[:])
	h.Write(kind[:])
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// emptyID is the identifier of an empty partition of the second slot, until an
// update gives it one.
func (m MachineID) emptyID(kind gpt.GUID) gpt.GUID {
	return gpt.DeriveGUID("mangos empty slot", string(m[:]), kind.String())
}

// EmptyLabel marks a partition of a slot that an update may fill:
// systemd-sysupdate's sysupdate.d(5).
const EmptyLabel = "_empty"

// plan returns the table with what is missing, and the partitions that it adds.
// root is the hash of the running root. Errors wrap ErrSmall or ErrLayout.
func plan(now *gpt.Table, root verity.RootHash, sizes Sizes, machine MachineID) (next *gpt.Table, added []gpt.Partition, err error) {
	wanted, err := missing(now, root, sizes, machine)
	if err != nil || len(wanted) == 0 {
		return now, nil, err
	}
	next = &gpt.Table{SectorSize: now.SectorSize, DiskSize: now.DiskSize, DiskID: now.DiskID}
	next.Partitions = append(next.Partitions, now.Partitions...)
	number, at := 0, int64(gpt.Align)
	for i, p := range now.Partitions {
		number = max(number, now.Numbers()[i])
		at = max(at, p.Start+p.Size)
	}
	for _, p := range wanted {
		at = (at + gpt.Align - 1) / gpt.Align * gpt.Align
		number++
		p.Number, p.Start = number, at
		at += p.Size
		next.Partitions = append(next.Partitions, p)
	}
	end := now.Usable() / gpt.Align * gpt.Align
	if at > end {
		return nil, nil, fmt.Errorf("%w: it has %d MiB for partitions and needs %d", ErrSmall, end>>20, at>>20)
	}
	if last := &next.Partitions[len(next.Partitions)-1]; last.Type == gpt.TypeVar {
		last.Size = end - last.Start
	}
	return next, next.Partitions[len(now.Partitions):], nil
}

// missing lists the partitions that the disk lacks, without their places.
func missing(now *gpt.Table, root verity.RootHash, sizes Sizes, machine MachineID) ([]gpt.Partition, error) {
	var wanted []gpt.Partition
	count := map[gpt.GUID]int{}
	for _, p := range now.Partitions {
		count[p.Type]++
	}
	slot, err := findSlot(now, root)
	if err != nil {
		return nil, err
	}
	if count[gpt.TypeRoot] == 1 {
		for _, p := range slot {
			wanted = append(wanted, gpt.Partition{
				Type: p.Type, ID: machine.emptyID(p.Type), Label: EmptyLabel, Attributes: p.Attributes, Size: p.Size,
			})
		}
	}
	for i, v := range volumes {
		switch count[v.kind] {
		case 0:
			size := []int64{sizes.Swap, sizes.Tmp, sizes.Var}[i]
			wanted = append(wanted, gpt.Partition{Type: v.kind, ID: machine.ID(v.kind), Label: v.label, Size: size})
		case 1:
		default:
			return nil, fmt.Errorf("%w: there are %d partitions of the type of %s", ErrLayout, count[v.kind], v.label)
		}
	}
	return wanted, nil
}

// findSlot returns the slot with the running root: signature, hash tree, root.
func findSlot(now *gpt.Table, root verity.RootHash) (slot [3]gpt.Partition, err error) {
	var found [3]int
	for _, p := range now.Partitions {
		switch {
		case p.Type == gpt.TypeRootVeritySig && found[0] == 0:
			slot[0] = p
			found[0]++
		case p.Type == gpt.TypeRootVerity && p.ID == gpt.GUID(root[16:]):
			slot[1] = p
			found[1]++
		case p.Type == gpt.TypeRoot && p.ID == disk.RootPartition(root):
			slot[2] = p
			found[2]++
		}
	}
	if found != [3]int{1, 1, 1} {
		return slot, fmt.Errorf("%w: of the running root's signature, hash tree and root there are %v", ErrLayout, found)
	}
	return slot, nil
}

// MinimumDisk is the size in bytes of the smallest disk on which an installed
// system with this partition table starts for the first time: the installer
// refuses smaller ones.
func MinimumDisk(image *gpt.Table, root verity.RootHash, sizes Sizes) (int64, error) {
	const huge = 1 << 60
	t := *image
	t.DiskSize = huge
	next, _, err := plan(&t, root, sizes, MachineID{})
	if err != nil {
		return 0, err
	}
	last := next.Partitions[len(next.Partitions)-1]
	if last.Type == gpt.TypeVar {
		last.Size = sizes.Var
	}
	return last.Start + last.Size + (huge-t.Usable()+gpt.Align-1)/gpt.Align*gpt.Align, nil
}
