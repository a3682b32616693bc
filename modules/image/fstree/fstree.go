// Package fstree holds a file system tree as a list of entries that can be put
// together from folders, changed, and written as one archive.
//
// A tree is read from folders but never written back to one: what a folder on
// disk would add (times, owners under another user id, attributes that the
// build's own machinery set) has no way into the archive. File contents stay
// where they are until the archive is written.
package fstree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrTree is wrapped by every error about what a tree holds.
var ErrTree = errors.New("unusable tree")

// MaxEntries bounds how many entries a tree may have.
const MaxEntries = 1 << 20

// Entry is a file, folder, symlink, device or FIFO. Two paths with the same
// *Entry are hard links.
type Entry struct {
	// Mode holds type and permission bits, as in stat(2).
	Mode     uint32
	UID, GID int
	// Target is where a symlink points.
	Target string
	// Major and Minor number a device.
	Major, Minor uint32
	// Capability is the extended attribute security.capability, the only one
	// that is carried over. It names no user and changes what a file may do.
	Capability []byte
	// Source is the path of the content of a regular file; where it is empty,
	// Data is the content.
	Source string
	Data   []byte
	// Size is the size in bytes of the content.
	Size int64
	// Origin is the folder that the entry was read from; empty where the build
	// made it.
	Origin string
}

// IsDir reports whether the entry is a folder.
func (e *Entry) IsDir() bool { return e.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsRegular reports whether the entry is a regular file.
func (e *Entry) IsRegular() bool { return e.Mode&unix.S_IFMT == unix.S_IFREG }

// IsSymlink reports whether the entry is a symbolic link.
func (e *Entry) IsSymlink() bool { return e.Mode&unix.S_IFMT == unix.S_IFLNK }

// Tree maps clean relative paths to entries. "." is the root and always there.
type Tree struct {
	entries map[string]*Entry
}

// New returns a tree with nothing but its root, mode 0755.
func New() *Tree {
	return &Tree{entries: map[string]*Entry{".": {Mode: unix.S_IFDIR | 0o755}}}
}

// Load reads the tree in dir with its owners, modes, hard links and
// capabilities as they are.
func Load(dir string) (*Tree, error) {
	t := New()
	inodes := map[[2]uint64]*Entry{}
	err := walk(dir, func(name string, st *unix.Stat_t) error {
		if name == "." {
			// The root's owner and mode are those of whoever made the folder.
			return nil
		}
		id := [2]uint64{st.Dev, st.Ino}
		if e := inodes[id]; e != nil {
			t.entries[name] = e
			return nil
		}
		e, err := read(dir, name, st)
		if err != nil {
			return err
		}
		if st.Nlink > 1 && !e.IsDir() {
			inodes[id] = e
		}
		t.entries[name] = e
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load tree: %w", err)
	}
	return t, nil
}

// Pick reads the given files of dir, with the folders above them made anew.
func Pick(dir string, names ...string) (*Tree, error) {
	t := New()
	for _, name := range names {
		var st unix.Stat_t
		p := filepath.Join(dir, name)
		if err := unix.Lstat(p, &st); err != nil {
			return nil, fmt.Errorf("pick: %w", &os.PathError{Op: "lstat", Path: p, Err: err})
		}
		e, err := read(dir, name, &st)
		if err != nil {
			return nil, fmt.Errorf("pick: %w", err)
		}
		if err := errors.Join(t.MakeDirs(path.Dir(name)), t.put(name, e)); err != nil {
			return nil, fmt.Errorf("pick: %w", err)
		}
	}
	return t, nil
}

// Overlay puts the files of dir over the tree. They belong to root; a file's
// mode is 0755 if its owner may execute it and 0644 otherwise, which is what a
// checkout keeps. A folder that is in the tree already keeps its owner and
// mode. What is neither file, folder nor symlink is refused, and so is a
// folder where the tree has something else (a symlink such as /lib, say).
func (t *Tree) Overlay(dir string) error {
	err := walk(dir, func(name string, st *unix.Stat_t) error {
		e, err := read(dir, name, st)
		if err != nil {
			return err
		}
		e.UID, e.GID, e.Capability = 0, 0, nil
		switch {
		case e.IsDir():
			e.Mode = unix.S_IFDIR | 0o755
		case e.IsRegular() && e.Mode&0o100 != 0:
			e.Mode = unix.S_IFREG | 0o755
		case e.IsRegular():
			e.Mode = unix.S_IFREG | 0o644
		case !e.IsSymlink():
			return fmt.Errorf("/%s is neither file, folder nor symlink: %w", name, ErrTree)
		}
		return t.put(name, e)
	})
	if err != nil {
		return fmt.Errorf("overlay %s: %w", dir, err)
	}
	return nil
}

// put adds or replaces one entry. Its parent must be a folder of the tree.
func (t *Tree) put(name string, e *Entry) error {
	old := t.entries[name]
	if parent := t.entries[path.Dir(name)]; parent == nil || !parent.IsDir() {
		return fmt.Errorf("/%s: /%s is no folder in the tree: %w", name, path.Dir(name), ErrTree)
	}
	switch {
	case old == nil || !old.IsDir() && !e.IsDir():
		t.entries[name] = e
	case old.IsDir() && e.IsDir():
	default:
		return fmt.Errorf("/%s is a folder on one side and not on the other: %w", name, ErrTree)
	}
	return nil
}

// walk calls visit for everything below dir, parents first, in no particular
// order otherwise. The root itself is "." and is visited too.
func walk(dir string, visit func(name string, st *unix.Stat_t) error) error {
	n := 0
	return filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n++; n > MaxEntries {
			return fmt.Errorf("more than %d entries: %w", MaxEntries, ErrTree)
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return &os.PathError{Op: "lstat", Path: p, Err: err}
		}
		return visit(filepath.ToSlash(name), &st)
	})
}

// read makes the entry of the file with that name in dir.
func read(dir, name string, st *unix.Stat_t) (*Entry, error) {
	p := filepath.Join(dir, name)
	e := &Entry{Mode: st.Mode, UID: int(st.Uid), GID: int(st.Gid), Origin: dir}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Source, e.Size = p, st.Size
		e.Capability, err = capability(p)
	case unix.S_IFLNK:
		e.Target, err = os.Readlink(p)
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Major, e.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	case unix.S_IFDIR, unix.S_IFIFO:
	default:
		err = fmt.Errorf("%s is a socket or of no known type: %w", p, ErrTree)
	}
	return e, err
}

// capability reads the extended attribute security.capability; nil if there is
// none.
func capability(p string) ([]byte, error) {
	var buf [64]byte
	n, err := unix.Lgetxattr(p, "security.capability", buf[:])
	switch {
	case err == nil:
		return slices.Clone(buf[:n]), nil
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil, nil
	}
	return nil, &os.PathError{Op: "getxattr", Path: p, Err: err}
}

// Paths returns the paths of all entries, sorted bytewise: a folder stands
// before what it holds.
func (t *Tree) Paths() []string { return slices.Sorted(maps.Keys(t.entries)) }

// Get returns the entry at name, nil if there is none.
func (t *Tree) Get(name string) *Entry { return t.entries[name] }

// ReadFile returns the content of the regular file at name, at most limit bytes.
func (t *Tree) ReadFile(name string, limit int64) ([]byte, error) {
	e := t.entries[name]
	if e == nil || !e.IsRegular() {
		return nil, fmt.Errorf("/%s is no file in the tree: %w", name, ErrTree)
	}
	if e.Size > limit {
		return nil, fmt.Errorf("/%s has %d bytes, more than %d: %w", name, e.Size, limit, ErrTree)
	}
	if e.Source == "" {
		return e.Data, nil
	}
	return os.ReadFile(e.Source)
}

// SetFile puts a file of root's with the given content and permission bits at
// name, in place of what is there.
func (t *Tree) SetFile(name string, content []byte, perm uint32) error {
	return t.put(name, &Entry{Mode: unix.S_IFREG | perm, Data: content, Size: int64(len(content))})
}

// SetSymlink puts a symlink at name, in place of what is there.
func (t *Tree) SetSymlink(name, target string) error {
	return t.put(name, &Entry{Mode: unix.S_IFLNK | 0o777, Target: target})
}

// MakeDirs makes the folder name and those above it, root's, mode 0755.
func (t *Tree) MakeDirs(name string) error {
	if name == "." {
		return nil
	}
	if e := t.entries[name]; e != nil {
		return t.put(name, &Entry{Mode: unix.S_IFDIR | 0o755})
	}
	if err := t.MakeDirs(path.Dir(name)); err != nil {
		return err
	}
	return t.put(name, &Entry{Mode: unix.S_IFDIR | 0o755})
}

// Empty removes everything below the folder name, which is made if it is not
// there, and keeps its owner and mode.
func (t *Tree) Empty(name string) error {
	t.removeBelow(name)
	return t.MakeDirs(name)
}

// Move renames the entry at from, with all below it, to to, which must not be
// there yet.
func (t *Tree) Move(from, to string) error {
	if t.entries[from] == nil {
		return fmt.Errorf("move /%s: not in the tree: %w", from, ErrTree)
	}
	if t.entries[to] != nil {
		return fmt.Errorf("move /%s: /%s is in the way: %w", from, to, ErrTree)
	}
	if err := t.MakeDirs(path.Dir(to)); err != nil {
		return fmt.Errorf("move /%s: %w", from, err)
	}
	for name, e := range maps.Clone(t.entries) {
		if name == from || strings.HasPrefix(name, from+"/") {
			delete(t.entries, name)
			t.entries[to+name[len(from):]] = e
		}
	}
	return nil
}

// Delete removes the entry name; a folder's content stays, so it is for what is
// none.
func (t *Tree) Delete(name string) { delete(t.entries, name) }

func (t *Tree) removeBelow(name string) {
	for p := range t.entries {
		if strings.HasPrefix(p, name+"/") {
			delete(t.entries, p)
		}
	}
}
