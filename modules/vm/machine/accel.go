package machine

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Accel names how QEMU runs the guest's instructions.
type Accel string

const (
	// KVM runs the guest on the processor's virtualisation.
	KVM Accel = "kvm"
	// TCG translates the guest's instructions: it works everywhere, slowly.
	TCG Accel = "tcg"
)

// ErrNoKVM says that this machine cannot run a guest under KVM.
var ErrNoKVM = errors.New("no working KVM")

// Numbers of linux/kvm.h.
const (
	kvmGetAPIVersion       = 0xae00
	kvmCreateVM            = 0xae01
	kvmCheckExtension      = 0xae03
	kvmGetVCPUMmapSize     = 0xae04
	kvmCreateVCPU          = 0xae41
	kvmSetUserMemoryRegion = 0x4020ae46
	kvmSetTSSAddr          = 0xae47
	kvmRun                 = 0xae80

	kvmAPIVersion  = 12
	kvmCapX86SMM   = 117
	kvmExitHLT     = 5
	kvmExitReasonO = 8 // offset of exit_reason in struct kvm_run
)

// PickAccel returns KVM where a guest really runs under it, else TCG with the reason.
// That /dev/kvm opens proves nothing: in a machine without nested virtualisation it may
// create a guest and fail to enter it.
func PickAccel() (Accel, error) { return pickAccel(tryKVM("/dev/kvm")) }

// pickAccel picks by what came of trying KVM.
func pickAccel(tried error) (Accel, error) {
	if tried != nil {
		return TCG, fmt.Errorf("%w: %w", ErrNoKVM, tried)
	}
	return KVM, nil
}

// kvmRegion is struct kvm_userspace_memory_region.
type kvmRegion struct {
	slot, flags          uint32
	guest, size, address uint64
}

// tryKVM runs one HLT instruction at the reset vector of a guest.
func tryKVM(path string) error {
	dev, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer dev.Close()
	if v, err := ioctl(dev.Fd(), kvmGetAPIVersion, 0); err != nil {
		return fmt.Errorf("ask for the api version: %w", err)
	} else if v != kvmAPIVersion {
		return fmt.Errorf("api version %d, want %d", v, kvmAPIVersion)
	}
	if v, err := ioctl(dev.Fd(), kvmCheckExtension, kvmCapX86SMM); err != nil {
		return fmt.Errorf("ask for system management mode: %w", err)
	} else if v == 0 {
		return errors.New("no system management mode, which Secure Boot needs")
	}
	vm, err := ioctl(dev.Fd(), kvmCreateVM, 0)
	if err != nil {
		return fmt.Errorf("create guest: %w", err)
	}
	defer unix.Close(int(vm))
	if _, err := ioctl(vm, kvmSetTSSAddr, 0xfffbd000); err != nil {
		return fmt.Errorf("set task state address: %w", err)
	}
	const page = 4096
	mem, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map guest memory: %w", err)
	}
	defer unix.Munmap(mem)
	mem[page-16] = 0xf4 // HLT at 0xfffffff0, where a processor starts
	region := kvmRegion{guest: 1<<32 - page, size: page, address: uint64(uintptr(unsafe.Pointer(&mem[0])))}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, vm, kvmSetUserMemoryRegion, uintptr(unsafe.Pointer(&region))); errno != 0 {
		return fmt.Errorf("set guest memory: %w", errno)
	}
	return runOnce(dev.Fd(), vm)
}

// runOnce enters a new virtual processor of vm and wants it to halt.
func runOnce(dev, vm uintptr) error {
	cpu, err := ioctl(vm, kvmCreateVCPU, 0)
	if err != nil {
		return fmt.Errorf("create processor: %w", err)
	}
	defer unix.Close(int(cpu))
	size, err := ioctl(dev, kvmGetVCPUMmapSize, 0)
	if err != nil {
		return fmt.Errorf("size of processor state: %w", err)
	}
	state, err := unix.Mmap(int(cpu), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map processor state: %w", err)
	}
	defer unix.Munmap(state)
	if _, err := ioctl(cpu, kvmRun, 0); err != nil {
		return fmt.Errorf("enter guest: %w", err)
	}
	if reason := *(*uint32)(unsafe.Pointer(&state[kvmExitReasonO])); reason != kvmExitHLT {
		return fmt.Errorf("enter guest: exit reason %d, want %d", reason, kvmExitHLT)
	}
	return nil
}

func ioctl(fd, request, arg uintptr) (uintptr, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, arg)
	if errno != 0 {
		return 0, errno
	}
	return r, nil
}
