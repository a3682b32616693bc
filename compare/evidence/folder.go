package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// destination is the folder of an organisation below a place that others write
// to as well: nothing there is followed or written through.
type destination struct{ place, release, organisation string }

func (d destination) path() string { return filepath.Join(d.place, d.release, d.organisation) }

// write makes the folder of these files. One that is there is an error, but for
// the files named in over: those give way. The folder appears whole.
func (d destination) write(files map[string][]byte, over ...string) error {
	if err := d.writeNew(files, over); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

func (d destination) writeNew(files map[string][]byte, over []string) error {
	parent := filepath.Dir(d.path())
	if err := os.MkdirAll(d.place, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(parent, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := os.Lstat(parent); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: %s is no folder", ErrExists, parent)
	}
	there, err := d.givesWay(over)
	if err != nil {
		return err
	}
	partial, err := os.MkdirTemp(parent, ".partial-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	if err := os.Chmod(partial, 0o755); err != nil {
		return err
	}
	for _, name := range sortedKeys(files) {
		path := filepath.Join(partial, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	if there {
		if err := os.RemoveAll(d.path()); err != nil {
			return err
		}
	}
	return os.Rename(partial, d.path())
}

// givesWay reports whether the folder is there, with nothing in it but the given
// files. Anything else in it is an error.
func (d destination) givesWay(over []string) (bool, error) {
	info, err := os.Lstat(d.path())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.IsDir() || len(over) == 0 {
		return false, fmt.Errorf("%w: %s", ErrExists, d.path())
	}
	entries, err := os.ReadDir(d.path())
	if err != nil {
		return false, err
	}
	may := map[string]bool{}
	for _, name := range over {
		may[name] = true
	}
	for _, e := range entries {
		if !may[e.Name()] {
			return false, fmt.Errorf("%w: %s", ErrExists, filepath.Join(d.path(), e.Name()))
		}
	}
	return true, nil
}

// replaceFile writes a file of a folder; a link of that name is replaced, not
// followed.
func replaceFile(folder, name string, text []byte) error {
	f, err := os.CreateTemp(folder, ".partial-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(text); err == nil {
		err = f.Chmod(0o644)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(folder, name))
}
