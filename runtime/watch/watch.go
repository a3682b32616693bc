// Package watch waits for things that the kernel announces, without polling:
// device nodes that appear, block devices that are found.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// File returns nil as soon as the file exists, or ctx's error. The folder that
// it is to appear in must exist.
func File(ctx context.Context, path string) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	defer unix.Close(fd)
	// The watch stands before the first look, so nothing falls between.
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	return until(ctx, fd, func() (bool, error) {
		_, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
}

// Uevents calls look at once, and again whenever the kernel announces a device,
// until look returns true or an error, or ctx ends (then ctx's error).
func Uevents(ctx context.Context, look func() (bool, error)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("watch kernel events: %w", err)
	}
	defer unix.Close(fd)
	// Group 1 is the kernel itself, group 2 would be udev.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return fmt.Errorf("watch kernel events: %w", err)
	}
	return until(ctx, fd, look)
}

// until looks, waits until fd can be read, reads all there is, and looks again.
func until(ctx context.Context, fd int, look func() (bool, error)) error {
	for {
		if found, err := look(); found || err != nil {
			return err
		}
		if err := wait(ctx, fd); err != nil {
			return err
		}
		if err := drain(fd); err != nil {
			return err
		}
	}
}

// wait returns when fd can be read. It looks at ctx at least once a second.
func wait(ctx context.Context, fd int) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		timeout := time.Second
		if deadline, ok := ctx.Deadline(); ok {
			timeout = min(timeout, max(time.Until(deadline), time.Millisecond))
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(timeout.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
}

// drain throws away what can be read. A queue that ran over (ENOBUFS) only
// means that there is a reason to look again.
func drain(fd int) error {
	buffer := make([]byte, 64<<10)
	for {
		_, err := unix.Read(fd, buffer)
		switch {
		case err == nil, errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOBUFS):
		case errors.Is(err, unix.EAGAIN):
			return nil
		default:
			return fmt.Errorf("wait: %w", err)
		}
	}
}
