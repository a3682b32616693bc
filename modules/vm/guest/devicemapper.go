package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/modules/vm/probe"
)

// Of linux/dm-ioctl.h.
const (
	dmTableStatus     = 0xc138fd0c // DM_TABLE_STATUS
	dmStatusTableFlag = 1 << 4
	dmBufferFullFlag  = 1 << 8
	dmHeader          = 312
	dmTargetSpec      = 40
	dmBuffer          = 64 << 10

	offDataSize, offDataStart, offTargetCount, offFlags, offName = 12, 16, 20, 28, 48
)

var errTable = errors.New("malformed device-mapper table")

// devices returns all device-mapper devices. A machine without any has none: no error.
func devices(root string) ([]probe.Device, error) {
	names, err := filepath.Glob(filepath.Join(root, "/sys/block/dm-*/dm/name"))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	control, err := os.OpenFile(filepath.Join(root, "/dev/mapper/control"), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	var all []probe.Device
	for _, path := range names {
		name, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		uuid, err := os.ReadFile(filepath.Join(filepath.Dir(path), "uuid"))
		if err != nil {
			return nil, err
		}
		d := probe.Device{Name: strings.TrimSpace(string(name)), UUID: strings.TrimSpace(string(uuid))}
		if d.Table, err = status(control, d.Name, dmStatusTableFlag); err != nil {
			return nil, fmt.Errorf("device %s: table: %w", d.Name, err)
		}
		if d.Status, err = status(control, d.Name, 0); err != nil {
			return nil, fmt.Errorf("device %s: status: %w", d.Name, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func status(control *os.File, name string, flags uint32) (string, error) {
	b := make([]byte, dmBuffer)
	le := binary.LittleEndian
	le.PutUint32(b, 4) // interface version 4.0.0
	le.PutUint32(b[offDataSize:], dmBuffer)
	le.PutUint32(b[offDataStart:], dmHeader)
	le.PutUint32(b[offFlags:], flags)
	if len(name) > 127 {
		return "", fmt.Errorf("%w: name %q", errTable, name)
	}
	copy(b[offName:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), dmTableStatus, uintptr(unsafe.Pointer(&b[0]))); errno != 0 {
		return "", errno
	}
	return parseTable(b)
}

// parseTable reads struct dm_ioctl and the targets behind it: type and parameters a line.
func parseTable(b []byte) (string, error) {
	if len(b) < dmHeader {
		return "", fmt.Errorf("%w: %d bytes", errTable, len(b))
	}
	le := binary.LittleEndian
	if le.Uint32(b[offFlags:])&dmBufferFullFlag != 0 {
		return "", fmt.Errorf("%w: longer than %d bytes", errTable, len(b))
	}
	start, count := le.Uint32(b[offDataStart:]), le.Uint32(b[offTargetCount:])
	var out strings.Builder
	offset := uint64(start)
	for range count {
		if offset < dmHeader || offset+dmTargetSpec > uint64(len(b)) {
			return "", fmt.Errorf("%w: target at %d", errTable, offset)
		}
		spec := b[offset:]
		params, _, ended := bytes.Cut(spec[dmTargetSpec:], []byte{0})
		if !ended {
			return "", fmt.Errorf("%w: parameters without an end", errTable)
		}
		kind, _, _ := bytes.Cut(spec[24:dmTargetSpec], []byte{0})
		fmt.Fprintf(&out, "%s %s\n", kind, params)
		// The kernel counts struct dm_target_spec.next from the first target.
		next := uint64(start) + uint64(le.Uint32(spec[20:]))
		if next <= offset {
			return "", fmt.Errorf("%w: target after %d", errTable, offset)
		}
		offset = next
	}
	return out.String(), nil
}
