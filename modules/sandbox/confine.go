package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// kept are the capabilities of a step that runs as root: what unpacking,
// configuring and packing a root file system takes. Among those that are gone
// are SYS_ADMIN (mounts, namespaces, the host name), NET_ADMIN and NET_RAW,
// SYS_MODULE, SYS_PTRACE, SYS_TIME, SYS_BOOT and BPF.
var kept = []uint{
	unix.CAP_CHOWN,
	unix.CAP_DAC_OVERRIDE,
	unix.CAP_FOWNER,
	unix.CAP_FSETID,
	unix.CAP_KILL,
	unix.CAP_MKNOD,
	unix.CAP_SETFCAP,
	unix.CAP_SETGID,
	unix.CAP_SETPCAP,
	unix.CAP_SETUID,
	unix.CAP_SYS_CHROOT,
}

// confine takes all other capabilities from the calling thread and its
// children for good, and the gain of any by running a program.
func confine() error {
	var mask uint64
	for _, c := range kept {
		mask |= 1 << c
	}
	for c := uint(0); c < 64; c++ {
		if mask&(1<<c) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // past the last one that this kernel knows
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for i := range have {
		part := uint32(mask >> (32 * i))
		if missing := part &^ have[i].Permitted; missing != 0 {
			return fmt.Errorf("capabilities %#x are missing: run as root with all capabilities (in Dagger: InsecureRootCapabilities)", uint64(missing)<<(32*i))
		}
		have[i] = unix.CapUserData{Effective: part, Permitted: part}
	}
	if err := unix.Capset(&header, &have[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
