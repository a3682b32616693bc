package clock

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// errPage says that the kernel's page with the clock is not as it is known here.
var errPage = errors.New("unknown form of the vdso")

// maxPage bounds the ELF image that the page is.
const maxPage = 64 << 10

// shiftPage makes the page with the clock tell the time of day shifted, in a program that is
// about to start and stands at a stop: most programs ask so often that a stop for each
// question costs more than the program. The page is mapped privately; what is written to it
// is the program's own, and its children's until they become other programs.
//
// clock_gettime(2) is led by way of [shifted]. The other two ways to ask, of old, are taken
// out: then a program makes the system call, which the filter stops.
func shiftPage(pid int, base uint64, shift time.Duration) error {
	image, err := readPage(pid, base)
	if err != nil {
		return err
	}
	ahead, err := aheadOfMonotonic()
	if err != nil {
		return err
	}
	changed, err := shiftImage(image, ahead+shift)
	if err != nil {
		return err
	}
	for _, s := range changed {
		if _, err := unix.PtracePokeData(pid, uintptr(base+s.from), image[s.from:s.to]); err != nil {
			return fmt.Errorf("write the vdso: %w", err)
		}
	}
	return nil
}

// span is a part of the page.
type span struct{ from, to uint64 }

// shiftImage changes the page's image and says where. It tells the time of day as the
// monotonic clock's, and ahead of that.
func shiftImage(image []byte, ahead time.Duration) ([]span, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPage, err)
	}
	symbols, err := f.DynamicSymbols()
	table := f.Section(".dynsym")
	if err != nil || table == nil {
		return nil, fmt.Errorf("%w: no symbols", errPage)
	}
	if entries := uint64(len(symbols)+1) * elf.Sym64Size; table.Offset+entries > uint64(len(image)) {
		return nil, fmt.Errorf("%w: symbols outside", errPage)
	}
	// The section headers are for people who debug the page: they make room.
	place, original := sectionHeaders(image), uint64(0)
	for i, s := range symbols {
		// The list leaves out the first entry, which names nothing.
		entry := image[table.Offset+uint64(i+1)*elf.Sym64Size:]
		section, value := entry[6:8], entry[8:16]
		switch s.Name {
		case "clock_gettime", "__vdso_clock_gettime":
			original = s.Value
			binary.LittleEndian.PutUint64(value, place)
		case "gettimeofday", "__vdso_gettimeofday", "time", "__vdso_time":
			clear(section)
			clear(value)
		}
	}
	if original == 0 {
		return nil, fmt.Errorf("%w: no clock_gettime", errPage)
	}
	code := shifted(place, original, ahead)
	if place+uint64(len(code)) > uint64(len(image)) {
		return nil, fmt.Errorf("%w: no room", errPage)
	}
	copy(image[place:], code)
	return []span{{table.Offset, table.Offset + table.Size}, {place, place + uint64(len(code))}}, nil
}

// readPage reads the page with the clock: an ELF image that ends with its section headers.
func readPage(pid int, base uint64) ([]byte, error) {
	const header = 64
	image := make([]byte, header)
	if err := peek(pid, base, image); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(image, []byte(elf.ELFMAG)) || image[elf.EI_CLASS] != byte(elf.ELFCLASS64) {
		return nil, fmt.Errorf("%w: no ELF image for 64 bits", errPage)
	}
	size := uint64(binary.LittleEndian.Uint16(image[58:])) * uint64(binary.LittleEndian.Uint16(image[60:]))
	at := sectionHeaders(image)
	if at < header || at > maxPage || size > maxPage {
		return nil, fmt.Errorf("%w: section headers at %d, %d bytes", errPage, at, size)
	}
	image = make([]byte, at+size)
	return image, peek(pid, base, image)
}

func sectionHeaders(image []byte) uint64 { return binary.LittleEndian.Uint64(image[40:]) }

func peek(pid int, address uint64, b []byte) error {
	if n, err := unix.PtracePeekData(pid, uintptr(address), b); err != nil || n < len(b) {
		return fmt.Errorf("read the vdso: %d of %d bytes: %w", n, len(b), err)
	}
	return nil
}

// aheadOfMonotonic is by how much the time of day is ahead of the monotonic clock, as the
// reading says that was interrupted least.
func aheadOfMonotonic() (time.Duration, error) {
	const readings = 5
	var ahead, least time.Duration
	for i := range readings {
		var before, now, after unix.Timespec
		err := errors.Join(
			unix.ClockGettime(unix.CLOCK_MONOTONIC, &before),
			unix.ClockGettime(unix.CLOCK_REALTIME, &now),
			unix.ClockGettime(unix.CLOCK_MONOTONIC, &after))
		if err != nil {
			return 0, fmt.Errorf("read the clock: %w", err)
		}
		if took := time.Duration(after.Nano() - before.Nano()); i == 0 || took < least {
			least, ahead = took, time.Duration(now.Nano()-before.Nano())-took/2
		}
	}
	return ahead, nil
}

// shifted is the code of a clock_gettime for amd64 (System V ABI) that stands at place and
// calls the original one. Asked for a time of day it asks for the monotonic clock, whose
// system call is never stopped, and adds by how much the answer is ahead of that.
func shifted(place, original uint64, ahead time.Duration) []byte {
	le := binary.LittleEndian
	var code []byte
	add := func(b ...byte) { code = append(code, b...) }
	toOriginal := func() {
		next := place + uint64(len(code)) + 4
		code = le.AppendUint32(code, uint32(original-next))
	}
	add(0x83, 0xff, unix.CLOCK_REALTIME, 0x74, 0x13)        // cmp $0, %edi; je real
	add(0x83, 0xff, unix.CLOCK_TAI, 0x74, 0x0e)             // cmp $11, %edi; je real
	add(0x83, 0xff, unix.CLOCK_REALTIME_COARSE, 0x74, 0x05) // cmp $5, %edi; je coarse
	add(0xe9)                                               // jmp original
	toOriginal()
	add(0x6a, unix.CLOCK_MONOTONIC_COARSE, 0xeb, 0x02) // coarse: push $6; jmp common
	add(0x6a, unix.CLOCK_MONOTONIC)                    // real: push $1
	add(0x5f, 0x56, 0xe8)                              // common: pop %rdi; push %rsi; call original
	toOriginal()
	add(0x5e, 0x85, 0xc0, 0x75, 0x2d) // pop %rsi; test %eax, %eax; jne out
	add(0x48, 0xbf)                   // movabs $seconds, %rdi
	code = le.AppendUint64(code, uint64(ahead/time.Second))
	add(0x48, 0x01, 0x3e, 0xba) // add %rdi, (%rsi); mov $nanoseconds, %edx
	code = le.AppendUint32(code, uint32(ahead%time.Second))
	add(0x48, 0x03, 0x56, 0x08)                   // add 8(%rsi), %rdx
	add(0x48, 0x81, 0xfa, 0x00, 0xca, 0x9a, 0x3b) // cmp $1000000000, %rdx
	add(0x7c, 0x0a)                               // jl store
	add(0x48, 0x81, 0xea, 0x00, 0xca, 0x9a, 0x3b) // sub $1000000000, %rdx
	add(0x48, 0xff, 0x06)                         // incq (%rsi)
	add(0x48, 0x89, 0x56, 0x08)                   // store: mov %rdx, 8(%rsi)
	add(0xc3)                                     // out: ret
	return code
}
