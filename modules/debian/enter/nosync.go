package enter

import (
	"fmt"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syncs are the system calls that wait for a disk.
var syncs = []uint32{unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC, unix.SYS_SYNCFS, unix.SYS_SYNC_FILE_RANGE}

var audit = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64,
	"arm64": unix.AUDIT_ARCH_AARCH64,
}

// startWithoutSync starts cmd so that it, and all that it starts, find every sync
// done at once: dpkg syncs its database after each step of each package, and a
// tree that a power cut spoils is made again anyway.
//
// A seccomp filter belongs to a thread and is inherited by what it starts, so a
// thread is set up for it and thrown away with its goroutine.
func startWithoutSync(cmd *exec.Cmd) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		if err := filterSyncs(); err != nil {
			failed <- fmt.Errorf("filter system calls: %w", err)
			return
		}
		failed <- cmd.Start()
	}()
	return <-failed
}

// filterSyncs makes the thread's syncs succeed without doing anything.
func filterSyncs() error {
	const (
		offsetNumber = 0 // of struct seccomp_data
		offsetArch   = 4
	)
	statement := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	load := func(offset uint32) unix.SockFilter { return statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset) }
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: k}
	}
	n := uint8(len(syncs))
	filter := []unix.SockFilter{load(offsetArch), equal(audit[runtime.GOARCH], 0, n+1), load(offsetNumber)}
	for i, number := range syncs {
		filter = append(filter, equal(number, n-uint8(i), 0))
	}
	filter = append(filter,
		statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW),
		statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO)) // error number 0: success
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}
