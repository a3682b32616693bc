package newfile

import (
	"os"

	"golang.org/x/sys/unix"
)

func rename(temporary, path string, _ os.FileMode, _ []byte) error {
	return unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
}
