package firmware

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// stays are the attributes of a variable that survives and that the running
// system sees: non-volatile, boot service access, runtime access.
const stays = 0x1 | 0x2 | 0x4

// immutable is FS_IMMUTABLE_FL of linux/fs.h.
const immutable = 0x10

// SetVariable writes a variable that survives.
func SetVariable(root, name, vendor string, data []byte) error {
	path := variablePath(root, name, vendor)
	if err := mutable(path); err != nil {
		return fmt.Errorf("set variable %s: %w", name, err)
	}
	// efivarfs takes a variable by one write.
	raw := append(binary.LittleEndian.AppendUint32(nil, stays), data...)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return fmt.Errorf("set variable %s: %w", name, err)
	}
	return nil
}

// RemoveVariable removes a variable. One that is not set is no error.
func RemoveVariable(root, name, vendor string) error {
	path := variablePath(root, name, vendor)
	if err := mutable(path); err != nil {
		return fmt.Errorf("remove variable %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove variable %s: %w", name, err)
	}
	return nil
}

func variablePath(root, name, vendor string) string {
	return filepath.Join(root, "sys/firmware/efi/efivars", name+"-"+vendor)
}

// mutable takes the flag away with which efivarfs guards variables against rm -r.
// A file system that knows no flags has none.
func mutable(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || err == nil && flags&immutable == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags&^immutable)
}
