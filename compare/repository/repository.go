// Package repository finds evidence where it was published: in folders, git
// checkouts, or below an address on a web server. In each of them the evidence
// of one organisation for one release is the folder <release>/<organisation>.
//
// What lies there is foreign. Files are opened below their folder only, never
// through a link that leads out of it, and are read up to a limit. Nothing is
// run: a git checkout is read as files, without git.
package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The names of the files by which a folder is known as an organisation's.
const (
	Build      = "build.sigstore.json"
	Commitment = "commitment.sigstore.json"
)

// maxEntries bounds the entries of a folder that are looked at.
const maxEntries = 10_000

// Sentinels.
var (
	// ErrPlace: a place that cannot be understood.
	ErrPlace = errors.New("no place of evidence")
	// ErrEmpty: a place that holds no evidence of what is looked for.
	ErrEmpty = errors.New("no evidence there")
	// ErrLimit: a file is larger than what is read.
	ErrLimit = errors.New("larger than the limit")
	// ErrUnsafe: a file that is not read, because it is no plain file in its
	// folder.
	ErrUnsafe = errors.New("not a plain file in its folder")
)

// Folder is the place of one organisation's evidence for one release.
type Folder struct {
	// Release and Organisation are what the place says; the statements in it
	// must say the same.
	Release, Organisation string
	// Place is the folder's path or address, for people.
	Place string

	open func(ctx context.Context, name string) (io.ReadCloser, error)
}

// Open opens a file below the folder. Reading more than limit bytes is an error
// that wraps [ErrLimit]; one that is not there gives [fs.ErrNotExist].
func (f *Folder) Open(ctx context.Context, name string, limit int64) (io.ReadCloser, error) {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return nil, fmt.Errorf("open %q: %w", name, ErrUnsafe)
	}
	in, err := f.open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &limited{ReadCloser: in, name: name, left: limit}, nil
}

// Read reads a whole file of at most limit bytes; errors as of [Folder.Open].
func (f *Folder) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	in, err := f.Open(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}

// limited fails where more than the limit is read.
type limited struct {
	io.ReadCloser
	name string
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	if int64(len(b)) > l.left+1 {
		b = b[:l.left+1]
	}
	n, err := l.ReadCloser.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("read %s: %w", l.name, ErrLimit)
	}
	return n, err
}

// Find lists the evidence at a place for the named release, of any release if
// release is empty. organisations are those that are asked for where a place
// cannot be listed: on a web server.
func Find(ctx context.Context, place, release string, organisations []string) ([]*Folder, error) {
	if IsAddress(place) {
		return findWeb(ctx, place, release, organisations)
	}
	list, err := findLocal(place)
	if err != nil {
		return nil, err
	}
	kept := list[:0]
	for _, f := range list {
		if release == "" || f.Release == release {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%s: %w", place, ErrEmpty)
	}
	return kept, nil
}

// findLocal accepts an organisation's folder, a release's, the folder of all
// releases, and a checkout that holds the latter as "evidence".
func findLocal(place string) ([]*Folder, error) {
	path, err := filepath.Abs(place)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path) // the reader's own choice may be a link
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s: %w: it is no folder", place, ErrPlace)
	}
	if isOrganisation(path) {
		return []*Folder{local(path)}, nil
	}
	if below := filepath.Join(path, "evidence"); isFolder(below) {
		path = below
	}
	children, err := folders(path)
	if err != nil {
		return nil, err
	}
	var list []*Folder
	for _, child := range children {
		if isOrganisation(child) {
			list = append(list, local(child))
			continue
		}
		grandchildren, err := folders(child)
		if err != nil {
			return nil, err
		}
		for _, g := range grandchildren {
			if isOrganisation(g) {
				list = append(list, local(g))
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: %w: no folder RELEASE/ORGANISATION with %s", place, ErrEmpty, Commitment)
	}
	return list, nil
}

// folders lists the folders in a folder, sorted; hidden ones and links are none.
func folders(path string) ([]string, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("%s: %w: more than %d entries", path, ErrPlace, maxEntries)
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			list = append(list, filepath.Join(path, e.Name()))
		}
	}
	slices.Sort(list)
	return list, nil
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

func isOrganisation(path string) bool {
	for _, name := range []string{Build, Commitment} {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	return false
}

func local(path string) *Folder {
	return &Folder{
		Release: filepath.Base(filepath.Dir(path)), Organisation: filepath.Base(path), Place: path,
		open: func(_ context.Context, name string) (io.ReadCloser, error) { return openLocal(path, name) },
	}
}

// openLocal opens a regular file below a folder. The kernel keeps the way to it
// inside of the folder.
func openLocal(folder, name string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			if info, lerr := root.Lstat(name); lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
				return nil, fmt.Errorf("%s: %w: a link to nowhere", name, ErrUnsafe)
			}
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w: %w", name, ErrUnsafe, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w: %s", name, ErrUnsafe, info.Mode().Type())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
