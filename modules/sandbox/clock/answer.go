package clock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// answer takes the place of the system call that a process stopped at.
func answer(pid int, shift time.Duration) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return fmt.Errorf("read registers: %w", err)
	}
	id := int32(unix.CLOCK_REALTIME)
	if regs.Orig_rax == unix.SYS_CLOCK_GETTIME {
		id = int32(regs.Rdi)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(id, &now); err != nil {
		return fmt.Errorf("read the clock: %w", err)
	}
	at := now.Nano() + shift.Nanoseconds()
	seconds, nanoseconds := uint64(at/1e9), uint64(at%1e9)
	result := uint64(0)
	var err error
	switch regs.Orig_rax {
	case unix.SYS_CLOCK_GETTIME:
		err = put(pid, regs.Rsi, seconds, nanoseconds)
	case unix.SYS_GETTIMEOFDAY:
		// The time zone, the second argument, is that of the kernel: none.
		if regs.Rdi != 0 {
			err = put(pid, regs.Rdi, seconds, nanoseconds/1000)
		}
		if err == nil && regs.Rsi != 0 {
			err = put(pid, regs.Rsi, 0)
		}
	case unix.SYS_TIME:
		result = seconds
		if regs.Rdi != 0 {
			err = put(pid, regs.Rdi, seconds)
		}
	}
	if errors.Is(err, unix.EFAULT) {
		fault := -int64(unix.EFAULT)
		result, err = uint64(fault), nil
	}
	if err != nil {
		return fmt.Errorf("write the time: %w", err)
	}
	regs.Orig_rax, regs.Rax = ^uint64(0), result // no system call, and its result
	if err := unix.PtraceSetRegs(pid, &regs); err != nil {
		return fmt.Errorf("write registers: %w", err)
	}
	return nil
}

// put writes words of 64 bits to an address of a process.
func put(pid int, address uint64, words ...uint64) error {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	n, err := unix.ProcessVMWritev(pid, local, []unix.RemoteIovec{{Base: uintptr(address), Len: len(b)}}, 0)
	if err == nil && n < len(b) {
		err = unix.EFAULT
	}
	return err
}

// Of the auxiliary vector, elf(5) and <linux/auxvec.h>.
const (
	auxEnd    = 0
	auxIgnore = 1
	auxPage   = 33 // AT_SYSINFO_EHDR
)

// maxVector bounds the words on a new program's stack before the end of the
// auxiliary vector: arguments and environment may take 6 MB as text.
const maxVector = 8 << 20

// movePage shifts the page with the clock of a program that is about to start. Where the
// page is of a form that is not known it takes its address from the program. The stack
// holds: the number of arguments, their addresses, 0, those of the environment, 0, and the
// auxiliary vector.
func movePage(pid int, shift time.Duration) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return fmt.Errorf("read registers: %w", err)
	}
	if regs.Cs != codeSegment64 {
		return nil
	}
	stack := words{pid: pid, address: regs.Rsp}
	arguments, err := stack.next()
	if err != nil {
		return err
	}
	for range arguments + 1 {
		if _, err := stack.next(); err != nil {
			return err
		}
	}
	for word := uint64(1); word != 0; {
		if word, err = stack.next(); err != nil {
			return err
		}
	}
	for {
		at := stack.at()
		kind, err := stack.next()
		if err != nil {
			return err
		}
		value, err := stack.next()
		if err != nil {
			return err
		}
		switch kind {
		case auxEnd:
			return nil
		case auxPage:
			if shiftPage(pid, value, shift) == nil {
				return nil
			}
			return put(pid, at, auxIgnore)
		}
	}
}

// codeSegment64 is the segment of programs for amd64.
const codeSegment64 = 0x33

// words reads the memory of a process word by word, a page at a time.
type words struct {
	pid     int
	address uint64 // of what follows read
	read    []byte
	count   int
}

// at is the address of the next word.
func (w *words) at() uint64 { return w.address - uint64(len(w.read)) }

func (w *words) next() (uint64, error) {
	if w.count++; w.count > maxVector {
		return 0, errors.New("the stack of a new program has no auxiliary vector")
	}
	if len(w.read) < 8 {
		// Up to the end of the page: the next one may not be there.
		b := make([]byte, 4096-w.address%4096)
		local := []unix.Iovec{{Base: &b[0]}}
		local[0].SetLen(len(b))
		n, err := unix.ProcessVMReadv(w.pid, local, []unix.RemoteIovec{{Base: uintptr(w.address), Len: len(b)}}, 0)
		if err != nil {
			return 0, fmt.Errorf("read the stack of a new program: %w", err)
		}
		w.address, w.read = w.address+uint64(n), b[:n]
		if n < 8 {
			return 0, errors.New("read the stack of a new program: cut off")
		}
	}
	word := binary.LittleEndian.Uint64(w.read)
	w.read = w.read[8:]
	return word, nil
}
