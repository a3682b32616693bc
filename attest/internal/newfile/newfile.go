// Package newfile writes new files: each appears under its name only complete, and
// never in the place of another.
package newfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write writes a file, synced, with this mode whatever the umask, where the file system
// keeps modes. Where the name is taken the error is [fs.ErrExist]; two runs at once cannot
// overwrite each other's. It is made beside its place, with a name that begins with ".new-",
// and gets its own by a hard link, or by a renaming that replaces nothing. Where the file
// system has neither it is written under its own name and removed when that fails: only
// there may a loss of power leave a part of it behind.
func Write(path string, mode os.FileMode, data []byte) error {
	return write(path, mode, data, link, rename, create)
}

// place gives a complete file its name, which must be free: by the temporary name that it
// has, or by writing it again.
type place func(temporary, path string, mode os.FileMode, data []byte) error

// write places the file in the first way that the file system has.
func write(path string, mode os.FileMode, data []byte, ways ...place) error {
	t, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	if err := fill(t, mode, data); err != nil {
		return err
	}
	for _, way := range ways {
		if err = way(t.Name(), path, mode, data); err == nil || errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return &fs.PathError{Op: "create", Path: path, Err: reason(err)}
	}
	return nil
}

// fill writes a file to its end and closes it.
func fill(f *os.File, mode os.FileMode, data []byte) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

func link(temporary, path string, _ os.FileMode, _ []byte) error { return os.Link(temporary, path) }

func create(_, path string, mode os.FileMode, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := fill(f, mode, data); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// reason is an error without the names that are in it.
func reason(err error) error {
	var two *os.LinkError
	var one *fs.PathError
	switch {
	case errors.As(err, &two):
		return two.Err
	case errors.As(err, &one):
		return one.Err
	}
	return err
}

// All writes files by their names into the folder dir, or leaves none of them behind.
func All(dir string, mode os.FileMode, files map[string][]byte) (err error) {
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range made {
			os.Remove(path)
		}
	}()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := Write(path, mode, data); err != nil {
			return err
		}
		made = append(made, path)
	}
	return nil
}
