package extension

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Collect copies the extension images in the folder Source of a mounted ESP
// into the inbox, and reports each of them: a nil error is one that was copied.
// It judges files by name, kind and size only; what is in them is Admit's
// business. A folder that does not exist holds nothing.
func Collect(esp, inbox string, report func(file string, size int64, err error)) error {
	source, err := os.OpenRoot(esp)
	if err != nil {
		return fmt.Errorf("collect extensions: %w", err)
	}
	defer source.Close()
	names, err := list(source, Source)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect extensions: %w", err)
	}
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		return fmt.Errorf("collect extensions: %w", err)
	}
	taken, total := 0, int64(0)
	for _, name := range organisationFirst(names) {
		if taken == MaxFiles {
			report(name, 0, refuse(TooMany, "only %d extensions are taken from the EFI system partition", MaxFiles))
			continue
		}
		size, err := collectOne(source, name, inbox, MaxTotal-total)
		if err == nil {
			taken, total = taken+1, total+size
		}
		report(name, size, err)
	}
	return nil
}

// organisationFirst keeps the files of others from taking the place of the organisation's.
func organisationFirst(names []string) []string {
	org := ID{Confext, Organisation}.FileName()
	i := slices.Index(names, org)
	if i < 0 {
		return names
	}
	return slices.Insert(slices.Delete(names, i, i+1), 0, org)
}

// list returns the names in a folder, sorted, at most MaxEntries of them.
func list(root *os.Root, folder string) ([]string, error) {
	dir, err := root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(MaxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > MaxEntries {
		return nil, fmt.Errorf("folder %s has more than %d entries", folder, MaxEntries)
	}
	slices.Sort(names)
	return names, nil
}

// collectOne copies one file. What it leaves behind where it fails is never
// taken for an image: the temporary name begins with a dot.
func collectOne(source *os.Root, name, inbox string, room int64) (int64, error) {
	if _, err := ParseFileName(name); err != nil {
		return 0, err
	}
	in, err := source.OpenFile(Source+"/"+name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, refuse(NotAFile, "it cannot be opened (%v)", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, refuse(NotAFile, "it is not a file")
	}
	if info.Size() > MaxSize || info.Size() > room {
		return 0, refuse(TooLarge, "it has %d bytes; at most %d are taken, and %d of all extensions together", info.Size(), MaxSize, MaxTotal)
	}
	temporary := filepath.Join(inbox, "."+name)
	if err := copyTo(temporary, in, info.Size()); err != nil {
		os.Remove(temporary)
		return 0, fmt.Errorf("copy: %w", err)
	}
	if err := os.Rename(temporary, filepath.Join(inbox, name)); err != nil {
		return 0, fmt.Errorf("copy: %w", err)
	}
	return info.Size(), nil
}

// copyTo makes a file of exactly size bytes.
func copyTo(path string, in io.Reader, size int64) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	defer out.Close()
	n, err := io.Copy(out, io.LimitReader(in, size+1))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("got %d bytes of %d", n, size)
	}
	return out.Close()
}

// pending lists the images in the inbox: what Collect put there, in order.
func pending(inbox string) ([]string, error) {
	root, err := os.OpenRoot(inbox)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names, err := list(root, ".")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, ".") }), nil
}
