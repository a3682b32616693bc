package extension

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loopAttempts bounds how often a free loop device is asked for: another program
// may take it first.
const loopAttempts = 16

// A loop is a loop device over a part of a file. The kernel takes it down when
// the last that has it open lets go.
type loop struct {
	device *os.File
}

// attach makes a read-only loop device over size bytes of the file from offset on.
func attach(file *os.File, offset, size int64) (*loop, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("attach loop device: %w", err)
	}
	defer control.Close()
	for range loopAttempts {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("attach loop device: %w", err)
		}
		l, err := configure(fmt.Sprintf("/dev/loop%d", n), file, offset, size)
		if errors.Is(err, unix.EBUSY) {
			continue
		}
		return l, err
	}
	return nil, errors.New("attach loop device: others were faster every time")
}

func configure(path string, file *os.File, offset, size int64) (*loop, error) {
	device, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("attach loop device: %w", err)
	}
	err = unix.IoctlLoopConfigure(int(device.Fd()), &unix.LoopConfig{
		Fd: uint32(file.Fd()),
		Info: unix.LoopInfo64{
			Offset: uint64(offset), Sizelimit: uint64(size),
			Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR,
		},
	})
	if err != nil {
		device.Close()
		return nil, fmt.Errorf("attach loop device: %w", err)
	}
	return &loop{device}, nil
}

func (l *loop) path() string { return l.device.Name() }

func (l *loop) close() { _ = l.device.Close() }
