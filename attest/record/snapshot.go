package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// snapshot is what lay below a folder at a time: each file and link, also those in
// folders that count as one item, by what the kernel keeps of it. Hashing it all
// once more would find no more, short of a command that sets times back.
type snapshot []found

// found is a file as it was.
type found struct {
	path string
	info os.FileInfo
}

// takeSnapshot notes what lies below root, which may be absent.
func takeSnapshot(ctx context.Context, root string) (snapshot, error) {
	var s snapshot
	if root == "" {
		return s, nil
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if path == root && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s = append(s, found{path, info})
		return ctx.Err()
	})
	return s, err
}

// unchanged compares the files with what they were. Errors wrap [ErrChanged].
func (s snapshot) unchanged() error {
	for _, f := range s {
		now, err := os.Lstat(f.path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrChanged, err)
		}
		if !os.SameFile(f.info, now) || now.Size() != f.info.Size() || now.Mode() != f.info.Mode() || !now.ModTime().Equal(f.info.ModTime()) {
			return fmt.Errorf("%w: %s", ErrChanged, f.path)
		}
	}
	return nil
}
