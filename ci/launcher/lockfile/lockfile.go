// Package lockfile keeps processes out of each other's way with flock(2).
// A lock ends with the process that holds it, however that process ends.
package lockfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrHeld is returned by TryExclusive when another process holds the lock.
var ErrHeld = errors.New("lock is held by another process")

// Lock is an open lock file. It is released by Close or by the end of the
// process.
type Lock struct {
	f *os.File
}

// Exclusive waits until no other process holds the lock at path, in either
// mode, and takes it. The file is created when missing.
func Exclusive(path string) (*Lock, error) {
	return open(path, syscall.LOCK_EX)
}

// Shared waits until no process holds the lock exclusively and takes it
// together with other sharers.
func Shared(path string) (*Lock, error) {
	return open(path, syscall.LOCK_SH)
}

// TryExclusive is Exclusive without the wait: it returns ErrHeld at once.
func TryExclusive(path string) (*Lock, error) {
	l, err := open(path, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrHeld
	}
	return l, err
}

func open(path string, how int) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{f: f}, nil
}

// File is the open file that carries the lock: a child process that inherits
// it keeps the lock until it, too, has ended.
func (l *Lock) File() *os.File { return l.f }

// Close releases the lock, unless a child process inherited it.
func (l *Lock) Close() error { return l.f.Close() }
