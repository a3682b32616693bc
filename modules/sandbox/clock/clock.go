// Package clock gives a program, and all that it starts, another time of day.
//
// No namespace has a time of day of its own. So a filter (seccomp(2)) stops the
// program at the system calls that ask for it, and a tracer (ptrace(2)) answers
// them. Most programs read the time in their own memory, where the kernel keeps it
// (vdso(7)): when a program starts, the code there is given the other time. Where it
// is not of a form that is known here, its address is taken out of what the kernel
// told the program (getauxval(3)), which then asks. A program does not notice when the
// machine's clock is set while it runs.
//
// The time since the machine started, waiting until a time of day, and the times
// that the kernel gives to files are what they are. Programs of other
// architectures than amd64 are left alone.
package clock

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// questions are the system calls that return the time of day.
var questions = []uint32{unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_CLOCK_GETTIME}

// clocks are those of clock_gettime that tell the time of day.
var clocks = []uint32{unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_TAI}

// Filter makes the calling thread, and all that it starts, stop at questions for
// the time of day. They fail with ENOSYS where nobody follows. It needs
// no_new_privs or CAP_SYS_ADMIN, and cannot be undone.
func Filter() error {
	const offsetNumber, offsetArch, offsetFirst = 0, 4, 16 // of struct seccomp_data
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	equal := func(k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: k}
	}
	end := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	program := []unix.SockFilter{
		load(offsetArch), equal(unix.AUDIT_ARCH_X86_64, 0, 5+len(clocks)),
		load(offsetNumber),
		equal(questions[0], 4+len(clocks), 0), equal(questions[1], 3+len(clocks), 0), equal(questions[2], 0, 1+len(clocks)),
		load(offsetFirst), // the low half of the clock's number
	}
	for i, c := range clocks {
		program = append(program, equal(c, len(clocks)-i, 0))
	}
	program = append(program, end(unix.SECCOMP_RET_ALLOW), end(unix.SECCOMP_RET_TRACE))
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		return fmt.Errorf("filter questions for the time: %w", errno)
	}
	return nil
}

// Seize makes the calling thread the tracer of a child, and of all that the child
// will start: the child's first thread is traced, and only threads and processes
// that come from it. The calling thread must stay what it is (runtime.LockOSThread) and go on
// with [Follow].
func Seize(pid int) error {
	const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESECCOMP
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, options, 0, 0); errno != 0 {
		return fmt.Errorf("trace the command: %w", errno)
	}
	return nil
}

// Follow answers until the process pid ends, and returns its status. The answers
// are later than the machine's clock by shift. It collects all ended children of
// the calling process.
func Follow(pid int, shift time.Duration) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		id, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("follow the command: %w", err)
		}
		if !status.Stopped() {
			if id == pid {
				return status, nil
			}
			continue
		}
		// A process that was killed meanwhile is gone: its end is reported next.
		if err := stopped(id, status, shift); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("follow process %d: %w", id, err)
		}
	}
}

// stopped handles one stop and lets the process go on.
func stopped(pid int, status unix.WaitStatus, shift time.Duration) error {
	signal := status.StopSignal()
	switch event := uint32(status) >> 16; event {
	case 0:
		return unix.PtraceCont(pid, int(signal)) // the signal is for the process
	case unix.PTRACE_EVENT_STOP:
		if signal != unix.SIGTRAP { // job control: it stays stopped
			return listen(pid)
		}
	case unix.PTRACE_EVENT_EXEC:
		if err := movePage(pid, shift); err != nil {
			return err
		}
	case unix.PTRACE_EVENT_SECCOMP:
		if err := answer(pid, shift); err != nil {
			return err
		}
	}
	return unix.PtraceCont(pid, 0)
}

func listen(pid int) error {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_LISTEN, uintptr(pid), 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
