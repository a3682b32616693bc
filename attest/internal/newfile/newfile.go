// Package newfile writes new files: each appears under its name only complete, and
// never in the place of another.
package newfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write writes a file, synced, with this mode whatever the umask. Where the name is
// taken the error is [fs.ErrExist]; two runs at once cannot overwrite each other's. It
// is made beside its place, with a name that begins with ".new-", and gets its own by a
// hard link.
func Write(path string, mode os.FileMode, data []byte) error {
	t, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	_, err = t.Write(data)
	if err = errors.Join(err, t.Chmod(mode), t.Sync(), t.Close()); err != nil {
		return err
	}
	err = os.Link(t.Name(), path)
	var failed *os.LinkError
	if errors.As(err, &failed) {
		return &fs.PathError{Op: "create", Path: path, Err: failed.Err}
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
