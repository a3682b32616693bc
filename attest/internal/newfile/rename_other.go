//go:build !linux

package newfile

import (
	"errors"
	"os"
)

// rename is what other systems have no one call for.
func rename(string, string, os.FileMode, []byte) error { return errors.ErrUnsupported }
