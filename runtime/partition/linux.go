package partition

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/runtime/disk"
	"github.com/mastercard/mangos/runtime/luks"
)

// Linux is the Host of a disk on a running system.
type Linux struct {
	Disk *disk.Disk
	// File is the whole disk, open.
	File *os.File
}

// Add has the kernel show a partition.
func (l *Linux) Add(p gpt.Partition) (string, error) {
	if err := l.partition(unix.BLKPG_ADD_PARTITION, p); err != nil {
		return "", fmt.Errorf("show partition %d: %w", p.Number, err)
	}
	return l.Disk.PartitionNode(p)
}

// Remove has the kernel show it no longer.
func (l *Linux) Remove(number int) error {
	err := l.partition(unix.BLKPG_DEL_PARTITION, gpt.Partition{Number: number})
	if err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("take partition %d away: %w", number, err)
	}
	return nil
}

// partition is the ioctl BLKPG of linux/blkpg.h.
func (l *Linux) partition(op int32, p gpt.Partition) error {
	part := unix.BlkpgPartition{Start: p.Start, Length: p.Size, Pno: int32(p.Number)}
	arg := unix.BlkpgIoctlArg{Op: op, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part))}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, l.File.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg)))
	if errno != 0 {
		return errno
	}
	return nil
}

// Fill opens the volume under a name that nothing else uses, and makes swap or
// ext4 in it.
func (l *Linux) Fill(ctx context.Context, node string, kind gpt.GUID, label string, passphrase []byte) (err error) {
	name := "mangos-new-" + label
	path, err := luks.Volume{Path: node}.Open(ctx, name, passphrase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, luks.Close(context.WithoutCancel(ctx), name)) }()
	return makeFileSystem(ctx, path, kind, label)
}

// makeFileSystem leaves to the running system what takes long (the inode tables).
func makeFileSystem(ctx context.Context, path string, kind gpt.GUID, label string) error {
	args := []string{"mke2fs", "-q", "-t", "ext4", "-L", label, "-m", "1", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", path}
	if kind == gpt.TypeSwap {
		args = []string{"mkswap", "-q", "-L", label, path}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		const shown = 300
		return fmt.Errorf("%s: %w: %q", args[0], err, out[:min(len(out), shown)])
	}
	return nil
}

// Announce makes udev look at the partitions anew: their names come from the
// table on the disk.
func (l *Linux) Announce(added []gpt.Partition) error {
	for _, p := range added {
		node, err := l.Disk.PartitionNode(p)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(node, filepath.Join(l.Disk.Root, "dev")+"/")
		path := filepath.Join(l.Disk.Root, "sys/class/block", strings.ReplaceAll(name, "/", "!"), "uevent")
		if err := os.WriteFile(path, []byte("change"), 0); err != nil {
			return fmt.Errorf("announce %s: %w", name, err)
		}
	}
	return nil
}
