// Package fetch downloads files whose size and SHA-256 are known, from mirrors of
// an archive or from the archive's permanent home, into a cache that is addressed
// by content.
//
// A file enters the cache by a rename after its bytes were checked, and is checked
// again each time it leaves: nothing that a crash or another program left there is
// trusted.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

var (
	// ErrMismatch says that a server sent something else than what is locked.
	ErrMismatch = errors.New("wrong content")
	// ErrGone says that a locked file is neither on the mirrors nor to be had
	// from its permanent home.
	ErrGone = errors.New("locked file is gone")
	// ErrUnreachable says that no server gave an answer.
	ErrUnreachable = errors.New("no server answers")
)

// File is a file to fetch.
type File struct {
	// Name is what messages call it, such as "bash 5.2-1".
	Name    string
	Archive string
	Path    string
	Size    int64
	SHA256  string
}

// Fetcher fetches files. Its fields are not changed while it works.
type Fetcher struct {
	// Mirrors are the URLs to try first, by archive.
	Mirrors Mirrors
	// Homes are the permanent homes, by archive, tried last.
	Homes Mirrors
	// Cache is the folder of the cache; it is made when it is missing.
	Cache string
	// Jobs bounds the downloads at the same time; 0 stands for 8.
	Jobs int
	// Progress, if set, is called with a line now and then.
	Progress func(line string)
	// Client, if set, is used instead of one with sensible time limits.
	Client *http.Client
	// Backoff is the pause before the second attempt, doubled before each
	// further one; 0 stands for half a second.
	Backoff time.Duration
}

// attempts bounds the attempts at one URL.
const attempts = 4

// Into fetches files and puts each into the folder dir, under the last element of
// its path: a hard link to the cache, or a copy where that cannot be.
func (f *Fetcher) Into(ctx context.Context, files []File, dir string) error {
	names := map[string]string{}
	for _, file := range files {
		base := path.Base(file.Path)
		if other, ok := names[base]; ok && other != file.SHA256 {
			return fmt.Errorf("fetch: two locked files are called %s", base)
		}
		names[base] = file.SHA256
	}
	if err := f.ToCache(ctx, files); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	for _, file := range files {
		if err := place(f.path(file.SHA256), filepath.Join(dir, path.Base(file.Path))); err != nil {
			return fmt.Errorf("fetch %s: %w", file.Name, err)
		}
	}
	return nil
}

// ToCache makes sure that all files are in the cache, checked.
func (f *Fetcher) ToCache(ctx context.Context, files []File) error {
	for _, dir := range []string{"sha256", "partial"} {
		if err := os.MkdirAll(filepath.Join(f.Cache, dir), 0o755); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
	}
	meter := newMeter(files, f.Progress)
	defer meter.stop()
	group, ctx := errgroup.WithContext(ctx)
	jobs := f.Jobs
	if jobs == 0 {
		jobs = 8
	}
	group.SetLimit(jobs)
	for _, file := range files {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := f.one(ctx, file, meter); err != nil {
				return fmt.Errorf("fetch %s: %w", file.Name, err)
			}
			meter.done(file)
			return nil
		})
	}
	return group.Wait()
}

// Open opens a file of the cache that ToCache put there.
func (f *Fetcher) Open(sha string) (*os.File, error) { return os.Open(f.path(sha)) }

func (f *Fetcher) path(sha string) string {
	return filepath.Join(f.Cache, "sha256", sha)
}

// one brings one file into the cache. A lock on the partial file keeps two
// processes with the same cache from writing it at the same time.
func (f *Fetcher) one(ctx context.Context, file File, meter *meter) error {
	if ok, err := f.cached(file); ok || err != nil {
		return err
	}
	partial, err := os.OpenFile(filepath.Join(f.Cache, "partial", file.SHA256), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer partial.Close()
	if err := unix.Flock(int(partial.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the partial file: %w", err)
	}
	if ok, err := f.cached(file); ok || err != nil {
		return err
	}
	if err := f.download(ctx, file, partial, meter); err != nil {
		return err
	}
	return os.Rename(partial.Name(), f.path(file.SHA256))
}

// cached reports whether the cache holds the file; what is there but wrong is
// removed.
func (f *Fetcher) cached(file File) (bool, error) {
	c, err := f.Open(file.SHA256)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer c.Close()
	size, sum, err := digest(c)
	if err != nil {
		return false, err
	}
	if size == file.Size && sum == file.SHA256 {
		return true, nil
	}
	return false, os.Remove(c.Name())
}

func digest(r io.Reader) (int64, string, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// place links or copies the checked cache file to name, by a rename.
func place(cached, name string) error {
	temporary := name + ".partial"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(cached, temporary); err != nil {
		if err := copyFile(cached, temporary); err != nil {
			return err
		}
	}
	// A rename onto another link of the same file does nothing.
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temporary, name)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// meter counts what is done and says so every few seconds.
type meter struct {
	mu          sync.Mutex
	say         func(string)
	files, all  int
	bytes, size int64
	next        time.Time
}

func newMeter(files []File, say func(string)) *meter {
	m := &meter{say: say, all: len(files), next: time.Now().Add(2 * time.Second)}
	for _, f := range files {
		m.size += f.Size
	}
	return m
}

func (m *meter) done(f File) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files++
	m.bytes += f.Size
	if m.say != nil && time.Now().After(m.next) {
		m.say(m.line())
		m.next = time.Now().Add(2 * time.Second)
	}
}

func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.say != nil {
		m.say(m.line())
	}
}

func (m *meter) line() string {
	return fmt.Sprintf("%d of %d files, %.1f of %.1f MiB", m.files, m.all,
		float64(m.bytes)/(1<<20), float64(m.size)/(1<<20))
}

func (m *meter) note(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.say != nil {
		m.say(line)
	}
}
