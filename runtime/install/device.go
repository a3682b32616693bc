package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse: somebody else uses the target.
var ErrInUse = errors.New("the target is in use")

// Device is a Target: a block device, which nobody else may use meanwhile, or a
// file.
type Device struct {
	*os.File
	size, sector int64
	block        bool
}

// OpenDevice opens a block device or an existing file.
func OpenDevice(path string) (*Device, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	d := &Device{sector: 512, block: info.Mode()&os.ModeType == os.ModeDevice}
	flags := os.O_RDWR
	switch {
	case d.block:
		flags |= unix.O_EXCL // no mount, no mapping, no other program that asks the same
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("open target: %s is neither a block device nor a file", path)
	}
	if d.File, err = os.OpenFile(path, flags, 0); err != nil {
		if errors.Is(err, unix.EBUSY) {
			err = fmt.Errorf("%w: %w", ErrInUse, err)
		}
		return nil, fmt.Errorf("open target: %w", err)
	}
	if err := d.measure(); err != nil {
		d.Close()
		return nil, fmt.Errorf("open target: %s: %w", path, err)
	}
	return d, nil
}

func (d *Device) measure() error {
	var err error
	if d.size, err = d.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if !d.block {
		// Two of us must not write to the same file.
		if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return fmt.Errorf("%w: %w", ErrInUse, err)
		}
		return nil
	}
	sector, err := unix.IoctlGetInt(int(d.Fd()), unix.BLKSSZGET)
	d.sector = int64(sector)
	return err
}

// Size is in bytes.
func (d *Device) Size() int64 { return d.size }

// SectorSize is that of a block device, 512 for a file.
func (d *Device) SectorSize() int64 { return d.sector }

// WriteAt writes; long runs of zeros by telling the device, which is faster.
func (d *Device) WriteAt(p []byte, at int64) (int, error) {
	if len(p) >= 64<<10 && isZero(p) {
		mode := uint32(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
		if d.block {
			mode = unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE
		}
		if err := unix.Fallocate(int(d.Fd()), mode, at, int64(len(p))); err == nil {
			return len(p), nil
		}
	}
	return d.File.WriteAt(p, at)
}

// isZero says whether all bytes are zero, as fast as memory goes.
func isZero(p []byte) bool {
	for len(p) > len(zeros) {
		if !bytes.Equal(p[:len(zeros)], zeros[:]) {
			return false
		}
		p = p[len(zeros):]
	}
	return bytes.Equal(p, zeros[:len(p)])
}

var zeros [64 << 10]byte

// Forget writes back what the kernel keeps of it in memory, and drops it.
func (d *Device) Forget() error {
	if err := d.Sync(); err != nil {
		return err
	}
	if d.block {
		return unix.IoctlSetInt(int(d.Fd()), unix.BLKFLSBUF, 0)
	}
	return unix.Fadvise(int(d.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// Reread makes the kernel look at the new partition table.
func (d *Device) Reread() error {
	if !d.block {
		return nil
	}
	// udev may just be looking at the disk.
	const tries, pause = 10, 100 * time.Millisecond
	var err error
	for range tries {
		if err = unix.IoctlSetInt(int(d.Fd()), unix.BLKRRPART, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(pause)
	}
	if err != nil {
		return fmt.Errorf("read the new partition table: %w", err)
	}
	return nil
}
