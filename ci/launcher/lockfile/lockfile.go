// Package lockfile keeps processes out of each other's way with flock(2).
// A lock ends with the process that holds it, however that process ends.
package lockfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
// mode, and takes it, or until ctx ends. The file is created when missing. Before it
// waits, it calls waiting, unless that is nil, with what is known of who holds the lock.
func Exclusive(ctx context.Context, path string, waiting func(holder string)) (*Lock, error) {
	l, err := TryExclusive(path)
	if !errors.Is(err, ErrHeld) {
		return l, err
	}
	if waiting != nil {
		waiting(holder(path))
	}
	return wait(ctx, path, func() (*Lock, error) { return openExclusive(path, 0) })
}

// wait returns the lock that take waits for, unless ctx ends first.
func wait(ctx context.Context, path string, take func() (*Lock, error)) (*Lock, error) {
	type taken struct {
		l   *Lock
		err error
	}
	done := make(chan taken)
	go func() {
		l, err := take()
		select {
		case done <- taken{l, err}:
		case <-ctx.Done():
			if err == nil {
				l.Close()
			}
		}
	}()
	select {
	case t := <-done:
		return t.l, t.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for lock %s: %w", path, ctx.Err())
	}
}

// SharedAs waits until no process holds the lock under another name, and takes it together
// with other sharers of this name, or until ctx ends. Before it waits, it calls waiting with
// the other name.
func SharedAs(ctx context.Context, path, name string, waiting func(other string)) (*Lock, error) {
	for told := false; ; {
		l, err := Shared(path)
		if err != nil {
			return nil, err
		}
		other, err := l.name()
		if err != nil || other == name {
			return l, err
		}
		l.Close()
		l, err = open(path, syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			if !told {
				waiting(other)
				told = true
			}
			l, err = wait(ctx, path, func() (*Lock, error) { return open(path, syscall.LOCK_EX) })
		}
		if err != nil {
			return nil, err
		}
		// Another process may take it before it is shared: then it has its own name.
		if err := errors.Join(l.write(name), l.f.Close()); err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// maxName bounds what is read of a lock's file, in bytes.
const maxName = 4096

func (l *Lock) name() (string, error) {
	text, err := io.ReadAll(io.NewSectionReader(l.f, 0, maxName))
	if err != nil {
		l.Close()
		return "", fmt.Errorf("read lock: %w", err)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

func (l *Lock) write(text string) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(text+"\n"), 0)
	return err
}

// Shared waits until no process holds the lock exclusively and takes it
// together with other sharers.
func Shared(path string) (*Lock, error) {
	return open(path, syscall.LOCK_SH)
}

// TryExclusive is Exclusive without the wait: it returns ErrHeld at once.
func TryExclusive(path string) (*Lock, error) {
	l, err := openExclusive(path, syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrHeld
	}
	return l, err
}

// openExclusive takes the lock and writes into it who holds it.
func openExclusive(path string, how int) (*Lock, error) {
	l, err := open(path, syscall.LOCK_EX|how)
	if err != nil {
		return nil, err
	}
	// What is there tells a person whom a call waits for, and nothing else.
	if err := l.write(strconv.Itoa(os.Getpid())); err != nil && !errors.Is(err, syscall.ENOSPC) {
		l.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return l, nil
}

// holder names who wrote into the lock last: sharers do not.
func holder(path string) string {
	text, err := os.ReadFile(path)
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || convErr != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
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
