package update

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile is where it is locked that the machine changes.
const lockFile = "run/mangos/update.lock"

// lock makes sure that nobody else changes the machine, until the file is closed
// here and in all programs that got its descriptor. It does not wait: whoever comes
// second is refused with ErrBusy.
func lock(root string) (*os.File, error) {
	path := filepath.Join(root, lockFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		if err = f.Truncate(0); err == nil {
			_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		}
	}
	if err == nil {
		return f, nil
	}
	defer f.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// Who it is helps whoever is refused; that it is gone by now does no harm.
	who, _ := io.ReadAll(io.LimitReader(f, 32))
	return nil, fmt.Errorf("%w (process %q has %s, or a program that it started); wait for its end", ErrBusy, strings.TrimSpace(string(who)), path)
}
