package gate

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Manager is what the gate gives the machine over to.
const Manager = "/usr/lib/systemd/systemd"

// A mounted file system that the gate looks at before there is a manager.
type mounted struct {
	source, target, kind string
	flags                uintptr
	data                 string
	// optional: firmware without EFI variables has none to mount.
	optional bool
}

var mounts = []mounted{
	{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", false},
	{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=0755", false},
	{"efivarfs", "/sys/firmware/efi/efivars", "efivarfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "", true},
}

// Mount mounts what Check looks at. It is for the first process of the initrd,
// which finds nothing mounted.
func Mount() error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.target, 0o755); err != nil && !m.optional {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil && !m.optional {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

// Unmount takes the mounts away again: the manager makes its own, as it wants
// them.
func Unmount() error {
	var all []error
	for i := len(mounts) - 1; i >= 0; i-- {
		m := mounts[i]
		if err := unix.Unmount(m.target, unix.MNT_DETACH); err != nil && !m.optional {
			all = append(all, fmt.Errorf("unmount %s: %w", m.target, err))
		}
	}
	return errors.Join(all...)
}

// Give replaces the gate by the manager, with no argument and a clean
// environment: the kernel hands to its first process what it does not understand
// of the command line. It returns only where it fails.
func Give() error {
	err := unix.Exec(Manager, []string{Manager}, []string{"HOME=/", "TERM=linux", "PATH=/usr/bin:/usr/sbin"})
	return fmt.Errorf("start %s: %w", Manager, err)
}
