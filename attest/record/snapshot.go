package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// snapshot is what lay below a folder at a time, by its path: each file, link and
// folder, also those in folders that count as one item, as the kernel describes it.
type snapshot map[string]unix.Stat_t

// takeSnapshot notes what lies below root, which may be absent.
func takeSnapshot(ctx context.Context, root string) (snapshot, error) {
	s := snapshot{}
	if root == "" {
		return s, nil
	}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if path == root && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return &fs.PathError{Op: "lstat", Path: path, Err: err}
		}
		s[path] = st
		return ctx.Err()
	})
	return s, err
}

// tick is longer than any kernel's clock for the times of files stands still.
const tick = 20 * time.Millisecond

// settle waits until a change of a file is later, for the kernel, than the newest of
// its times in the snapshot: two changes in one tick have the same time.
func (s snapshot) settle(ctx context.Context) error {
	var newest time.Time
	for _, st := range s {
		if t := time.Unix(st.Ctim.Unix()); t.After(newest) {
			newest = t
		}
	}
	// A time that is yet to come is of a clock that was set back since.
	left := tick - time.Since(newest)
	if left <= 0 || left > tick {
		return nil
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// compare holds what lies there now against the snapshot. Errors wrap [ErrChanged].
// Touched tells that it may have been changed and put right again: a time is another
// that the kernel sets at each change, but also at some that leave the content as it
// is, such as a further link to a file.
func (s snapshot) compare(now snapshot) (touched bool, err error) {
	for _, path := range slices.Sorted(maps.Keys(s)) {
		was := s[path]
		is, ok := now[path]
		switch {
		case !ok:
			return false, fmt.Errorf("%w: %s is gone", ErrChanged, path)
		case was.Mode != is.Mode || was.Uid != is.Uid || was.Gid != is.Gid:
			return false, fmt.Errorf("%w: %s has another kind, mode or owner", ErrChanged, path)
		// The number of a folder may be another each time in an overlay.
		case was.Mode&unix.S_IFMT != unix.S_IFDIR &&
			(was.Dev != is.Dev || was.Ino != is.Ino || was.Rdev != is.Rdev || was.Size != is.Size || was.Mtim != is.Mtim):
			return false, fmt.Errorf("%w: %s", ErrChanged, path)
		}
		touched = touched || was.Ctim != is.Ctim
	}
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if _, ok := s[path]; !ok {
			return false, fmt.Errorf("%w: %s is new", ErrChanged, path)
		}
	}
	return touched, nil
}
