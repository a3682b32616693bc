// Package tree names files and folders by SHA-256.
//
// A folder's digest is that of its manifest: one line for each entry, sorted
// by path, the folder itself (".") first, with everything that a build may
// depend on and that two builds can agree on: type, permissions, owner,
// content, link target, device number and file capabilities, but no times and
// no inode numbers. The line is
//
//	TYPE MODE UID:GID DETAIL CAPABILITY PATH
//
// TYPE is d, f, l, c, b, p or s; MODE the octal permission bits; DETAIL the
// SHA-256 of a file, the quoted target of a link, MAJOR:MINOR of a device, or
// "-"; CAPABILITY the hexadecimal value of security.capability, or "-"; PATH
// is quoted, below the folder.
package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Entry is one file of a folder.
type Entry struct {
	Path       string // below the folder, "." for itself
	Type       byte   // d, f, l, c, b, p or s
	Mode       uint32 // permission, setuid, setgid and sticky bits
	UID, GID   uint32
	Size       int64  // of a regular file
	SHA256     string // of a regular file
	Target     string // of a link
	Device     uint64 // of a device
	Capability []byte
}

// ErrChanged: a file changed while it was read.
var ErrChanged = errors.New("changed while it was read")

// buffers are for reading: a tree has many more files than are read at once, and to
// make and clear a buffer takes longer than to hash most of them.
var buffers = sync.Pool{New: func() any { return new([1 << 18]byte) }}

// HashFile returns the SHA-256 and the size of the regular file at path, both
// from the one descriptor that it opens. A symbolic link is followed only if
// follow says so.
func HashFile(path string, follow bool) (digest string, size int64, err error) {
	flags := os.O_RDONLY | syscall.O_NONBLOCK
	if !follow {
		flags |= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return "", 0, fmt.Errorf("hash: %w", err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return "", 0, fmt.Errorf("hash %s: %w", path, err)
	}
	if !before.Mode().IsRegular() {
		return "", 0, fmt.Errorf("hash %s: not a regular file", path)
	}
	h := sha256.New()
	b := buffers.Get().(*[1 << 18]byte)
	defer buffers.Put(b)
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, b[:])
	if err != nil {
		return "", 0, fmt.Errorf("hash %s: %w", path, err)
	}
	if n != before.Size() {
		return "", 0, fmt.Errorf("hash %s: %w", path, ErrChanged)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}

// Read lists the folder at root, sorted, and hashes its files on all
// processors. Symbolic links are listed, not followed.
func Read(ctx context.Context, root string) ([]Entry, error) {
	var entries []Entry
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		e, err := stat(path)
		if err != nil {
			return err
		}
		e.Path = rel
		entries = append(entries, e)
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range entries {
		e := &entries[i]
		if e.Type != 'f' {
			continue
		}
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			e.SHA256, e.Size, err = HashFile(filepath.Join(root, e.Path), false)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(sortKey(a.Path), sortKey(b.Path)) })
	return entries, nil
}

// sortKey makes "." the first.
func sortKey(path string) string {
	if path == "." {
		return ""
	}
	return path
}

// stat describes a file without its content.
func stat(path string) (Entry, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Entry{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	e := Entry{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		e.Type = 'd'
	case unix.S_IFREG:
		e.Type = 'f'
		var err error
		if e.Capability, err = capability(path); err != nil {
			return Entry{}, err
		}
	case unix.S_IFLNK:
		e.Type, e.Mode = 'l', 0o777
		target, err := os.Readlink(path)
		if err != nil {
			return Entry{}, err
		}
		e.Target = target
	case unix.S_IFCHR:
		e.Type, e.Device = 'c', st.Rdev
	case unix.S_IFBLK:
		e.Type, e.Device = 'b', st.Rdev
	case unix.S_IFIFO:
		e.Type = 'p'
	case unix.S_IFSOCK:
		e.Type = 's'
	}
	return e, nil
}

// capability reads the file capabilities of a file; nil when it has none.
func capability(path string) ([]byte, error) {
	buf := make([]byte, 64)
	n, err := unix.Lgetxattr(path, "security.capability", buf)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "getxattr", Path: path, Err: err}
	}
	return buf[:n], nil
}

// Manifest is the text that stands for the entries; see the package
// documentation.
func Manifest(entries []Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		detail := "-"
		switch e.Type {
		case 'f':
			detail = e.SHA256
		case 'l':
			detail = strconv.Quote(e.Target)
		case 'c', 'b':
			detail = fmt.Sprintf("%d:%d", unix.Major(e.Device), unix.Minor(e.Device))
		}
		capability := "-"
		if len(e.Capability) > 0 {
			capability = hex.EncodeToString(e.Capability)
		}
		fmt.Fprintf(&b, "%c %04o %d:%d %s %s %s\n", e.Type, e.Mode, e.UID, e.GID, detail, capability, strconv.Quote(e.Path))
	}
	return b.Bytes()
}

// Digest is the SHA-256 of the entries' [Manifest], lower-case hexadecimal.
func Digest(entries []Entry) string {
	sum := sha256.Sum256(Manifest(entries))
	return hex.EncodeToString(sum[:])
}
