package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// Limits of a release's folder.
const (
	maxFiles = 10_000
	// maxSmall is the size in bytes of the largest file that is read into memory,
	// maxMemory that of all of them.
	maxSmall  = 256 << 20
	maxMemory = 2 << 30
)

// file is an open file of the release.
type file struct {
	name string
	f    *os.File
	size int64
	// sum is the SHA-256 in hexadecimal; data the content of a small file.
	sum  string
	data []byte
}

// folder is the release's files.
type folder struct {
	files map[string]*file
	names []string // sorted
	bytes int64
}

// openFolder opens all files. Whatever is no regular file is an error.
func openFolder(dir string) (*folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s is empty", dir)
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%s holds more than %d files", dir, maxFiles)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return openFiles(dir, names)
}

// openFiles opens some files of a folder.
func openFiles(dir string, names []string) (*folder, error) {
	r := &folder{files: map[string]*file{}}
	for _, name := range names {
		f, err := open(filepath.Join(dir, name))
		if err != nil {
			r.close()
			return nil, err
		}
		f.name = name
		r.files[f.name] = f
		r.names = append(r.names, f.name)
		r.bytes += f.size
	}
	slices.Sort(r.names)
	return r, nil
}

func open(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{f: f, size: st.Size()}, nil
}

func (r *folder) close() {
	for _, f := range r.files {
		f.f.Close()
	}
}

// large reports whether a file stays on disk. An extension is looked into, and a
// file on disk can change after it was hashed.
func large(name string) bool {
	if strings.HasSuffix(name, ".confext.raw") || strings.HasSuffix(name, ".sysext.raw") {
		return false
	}
	return strings.HasSuffix(name, ".raw.zst") || strings.HasSuffix(name, ".raw.xz") || strings.HasSuffix(name, ".raw")
}

// load hashes all files, on all processors, and reads the small ones. The file
// called except is left to somebody else.
func (r *folder) load(ctx context.Context, except string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var memory int64
	for name, f := range r.files {
		if !large(name) {
			memory += min(f.size, maxSmall)
		}
	}
	if memory > maxMemory {
		return fmt.Errorf("the small files have %d bytes together, at most %d are read", memory, int64(maxMemory))
	}
	// The large ones first: the small ones fill the gaps.
	list := slices.SortedFunc(slices.Values(r.names), func(a, b string) int { return int(r.files[b].size - r.files[a].size) })
	for _, name := range list {
		if name == except {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := r.files[name].load(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// load hashes the file and reads a small one.
func (f *file) load() error {
	h := sha256.New()
	if large(f.name) {
		n, err := io.CopyBuffer(h, struct{ io.Reader }{f.f}, make([]byte, 1<<20))
		if err == nil && n != f.size {
			err = errChanged
		}
		f.sum = hex.EncodeToString(h.Sum(nil))
		return err
	}
	if f.size > maxSmall {
		return fmt.Errorf("it has %d bytes, at most %d are read", f.size, maxSmall)
	}
	f.data = make([]byte, f.size)
	if _, err := io.ReadFull(f.f, f.data); err != nil {
		return fmt.Errorf("%w: %w", errChanged, err)
	}
	h.Write(f.data)
	f.sum = hex.EncodeToString(h.Sum(nil))
	return nil
}

var errChanged = errors.New("it changed while it was read")

// small returns the content of a file that was read into memory.
func (r *folder) small(name string) ([]byte, error) {
	f := r.files[name]
	if f == nil || f.data == nil {
		return nil, fmt.Errorf("there is no %s", name)
	}
	return f.data, nil
}

// one returns the name of the only file that ends in suffix.
func (r *folder) one(suffix string) (string, error) {
	var found []string
	for _, name := range r.names {
		if strings.HasSuffix(name, suffix) {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("there are %d files *%s, and one is needed", len(found), suffix)
	}
	return found[0], nil
}
