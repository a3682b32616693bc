package vfat

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits bound what is read of a file system, whatever it claims: several files may
// claim the same clusters.
type Limits struct {
	Depth   int   // of folders in folders
	Entries int   // files and folders
	Bytes   int64 // of all files together
}

// ErrLimit is wrapped by errors that say that there is more than is read.
var ErrLimit = errors.New("more on the volume than is read")

// Files reads all files, by their paths from the root. A name that a folder has
// twice is an error that wraps [ErrCorrupt]: who opens it reads either. Short names
// count as well, and case does not.
func (v *Volume) Files(l Limits) (map[string][]byte, error) {
	files := map[string][]byte{}
	return files, l.read(v.Root(), "", 0, files)
}

func (l *Limits) read(dir *File, at string, depth int, files map[string][]byte) error {
	entries, err := dir.ReadDir()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if e.IsLabel() {
			continue
		}
		name := path.Join(at, e.Name)
		if !once(seen, e) {
			return fmt.Errorf("%w: %q has %q twice", ErrCorrupt, "/"+at, e.Name)
		}
		if l.Entries--; l.Entries < 0 || depth > l.Depth {
			return fmt.Errorf("%s: %w", name, ErrLimit)
		}
		if e.IsDir() {
			err = l.read(e, name, depth+1, files)
		} else if l.Bytes -= e.Size; l.Bytes < 0 {
			err = fmt.Errorf("%s: %w", name, ErrLimit)
		} else {
			files[name], err = e.content(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// once notes the names of an entry, and reports whether none was there.
func once(seen map[string]bool, e *File) bool {
	long, short := fold(e.Name), fold(e.ShortName)
	if seen[long] || seen[short] {
		return false
	}
	seen[long], seen[short] = true, true
	return true
}

// fold gives names that differ in case the same form.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// content reads the file that is called name.
func (f *File) content(name string) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b := make([]byte, f.Size)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("%s: %w", name, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return b, nil
}
