package publish

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/fetch"
)

// folder is a local folder. Each file appears there whole, under its name, or not at all.
type folder struct {
	r    *Release
	path string
}

// NewFolder returns a folder, which is made if it is not there. Errors wrap ErrPlace.
func NewFolder(r *Release, path string) (Destination, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: a folder without a name", ErrPlace)
	}
	return &folder{r: r, path: filepath.Clean(path)}, nil
}

func (d *folder) String() string { return d.path }

// Temporary names.
const (
	newPrefix = ".publish-"
	newSuffix = ".new"
)

func temporary(name string) bool {
	return strings.HasPrefix(name, newPrefix) && strings.HasSuffix(name, newSuffix)
}

// Find lists the folder. The release is published when its signature is there.
func (d *folder) Find(context.Context, []File) (*Found, error) {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, os.ErrNotExist) {
		return &Found{Address: d.path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlace, err)
	}
	found := &Found{Prepared: true, Files: map[string]Present{}, Address: d.path}
	var names []string
	for _, e := range entries {
		if temporary(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPlace, err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%w: %q, which is no regular file", ErrTaken, e.Name())
		}
		names = append(names, e.Name())
		found.Files[e.Name()] = Present{Size: info.Size()}
	}
	_, found.Published = found.Files[d.r.signature().Name]
	return found, unexpected(names, d.r)
}

// Prepare makes the folder.
func (d *folder) Prepare(context.Context) error {
	if err := os.Mkdir(d.path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %w", ErrPlace, err)
	}
	return syncFolder(filepath.Dir(d.path))
}

// Send writes a file, and gives it its name when it is on the disk.
func (d *folder) Send(ctx context.Context, f File) error {
	if err := d.clean(); err != nil {
		return err
	}
	path := filepath.Join(d.path, newPrefix+rand.Text()+newSuffix)
	defer os.Remove(path) // what has its name is not there any more
	if err := write(ctx, path, f); err != nil {
		return err
	}
	if err := place(path, filepath.Join(d.path, f.Name)); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %w", ErrTaken, err)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrPlace, err)
	}
	return syncFolder(d.path)
}

// clean removes what runs left that were broken off.
func (d *folder) clean() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPlace, err)
	}
	for _, e := range entries {
		if temporary(e.Name()) {
			if err := os.Remove(filepath.Join(d.path, e.Name())); err != nil {
				return fmt.Errorf("%w: %w", ErrPlace, err)
			}
		}
	}
	return nil
}

func write(ctx context.Context, path string, f File) (err error) {
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPlace, err)
	}
	if _, err = io.Copy(to, &cancellable{ctx, from}); err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil && !errors.Is(err, ErrRelease) {
		err = fmt.Errorf("%w: %w", ErrPlace, err)
	}
	return err
}

// place gives a file its name, which must be free. Not every file system has both ways.
func place(from, to string) error {
	err := renameNew(from, to)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = linkNew(from, to)
	}
	return err
}

func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func linkNew(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPlace, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrPlace, err)
	}
	return nil
}

// Finish does nothing: with the signature the release is there.
func (d *folder) Finish(context.Context) error { return nil }

func (d *folder) Open(_ context.Context, name string, from int64) (*fetch.Stream, error) {
	file, size, err := openRegular(d.path, name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fetch.ErrSource, err)
	}
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		file.Close()
		return nil, fmt.Errorf("%w: %w", fetch.ErrSource, err)
	}
	return &fetch.Stream{ReadCloser: file, From: from, Size: size}, nil
}
