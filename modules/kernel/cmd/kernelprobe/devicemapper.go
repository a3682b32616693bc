package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// targetSize is what stands before the name of a target in the kernel's list (struct
// dm_target_versions): the distance to the next one, and a version of three numbers.
const targetSize = 16

// deviceMapper wants the targets that the disk is mapped with: verity the root, crypt the rest.
func deviceMapper() error {
	const control = "/dev/mapper/control"
	file, err := os.OpenFile(control, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	request := struct {
		unix.DmIoctl
		targets [8 << 10]byte
	}{DmIoctl: unix.DmIoctl{Version: [3]uint32{unix.DM_VERSION_MAJOR}, Data_start: unix.SizeofDmIoctl}}
	request.Data_size = uint32(unsafe.Sizeof(request))
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), unix.DM_LIST_VERSIONS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("list the targets of %s: %w", control, errno)
	}
	if request.Flags&unix.DM_BUFFER_FULL_FLAG != 0 {
		return fmt.Errorf("list the targets of %s: more than %d bytes", control, len(request.targets))
	}
	names, err := targetNames(request.targets[:])
	if err != nil {
		return fmt.Errorf("list the targets of %s: %w", control, err)
	}
	for _, want := range []string{"verity", "crypt"} {
		if !slices.Contains(names, want) {
			return fmt.Errorf("no target %s in %s, but %q", want, control, names)
		}
	}
	return nil
}

// targetNames reads the kernel's list of device-mapper targets.
func targetNames(list []byte) ([]string, error) {
	var names []string
	for {
		if len(list) <= targetSize {
			return nil, errors.New("it ends within a target")
		}
		name, _, ended := bytes.Cut(list[targetSize:], []byte{0})
		if !ended {
			return nil, errors.New("a name without an end")
		}
		names = append(names, string(name))
		next := binary.NativeEndian.Uint32(list)
		if next == 0 {
			return names, nil
		}
		if next <= targetSize || uint64(next) > uint64(len(list)) {
			return nil, fmt.Errorf("the next target is said to be %d bytes on", next)
		}
		list = list[next:]
	}
}
