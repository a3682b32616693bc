// Package output writes results so that nothing half-written ever stands under
// the name that a later step reads, be it after a power cut: the content is on the
// disk before it gets its name.
package output

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// File is a file that gets its final name only when it is complete. It is
// created beside it, with a name that begins with ".partial-".
type File struct {
	*os.File
	path string
}

// Create begins the file at path.
func Create(path string) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".partial-"+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return &File{File: f, path: path}, nil
}

// Commit closes the file and gives it its name. Its mode is 0644: an output is
// for everybody to read, whatever the umask.
func (f *File) Commit() error {
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.File.Close()); err != nil {
		f.Abort()
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		f.Abort()
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}

// Abort removes the file if it has no name yet. It may be called after Commit,
// so that `defer f.Abort()` does what is right.
func (f *File) Abort() {
	f.File.Close()
	os.Remove(f.Name())
}

// Write makes the file at path from what write writes, buffered.
func Write(path string, write func(io.Writer) error) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	b := bufio.NewWriterSize(f, 1<<20)
	if err := write(b); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Commit()
}

// Bytes makes the file at path with the given content.
func Bytes(path string, content []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// Made makes the file at path by a function that writes to a temporary name:
// an external tool, say, that wants to create its output by itself.
func Made(path string, create func(temporary string) error) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".partial-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.RemoveAll(dir)
	temporary := filepath.Join(dir, filepath.Base(path))
	if err := create(temporary); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := settle(temporary); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// settle makes a file that somebody else wrote ready to get its name.
func settle(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o644), f.Sync(), f.Close())
}
