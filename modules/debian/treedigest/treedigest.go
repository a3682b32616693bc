// Package treedigest describes a tree of files line by line, so that two trees
// can be compared and the difference read: path, type, mode, owner, modification
// time, size, content, links and extended attributes.
package treedigest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lines describes the tree below root, a line for each path, sorted.
func Lines(root string) ([]string, error) {
	var lines []string
	first := map[[2]uint64]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		line, err := describe(path, name, first)
		if err != nil {
			return err
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("describe tree: %w", err)
	}
	sort.Strings(lines)
	return lines, nil
}

// Digest returns the SHA-256 of the lines, in hexadecimal.
func Digest(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n") + "\n"))
	return hex.EncodeToString(sum[:])
}

// describe returns one line; first holds the first name of each file with more
// than one.
func describe(path, name string, first map[[2]uint64]string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", err
	}
	what := ""
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		sum, err := content(path)
		if err != nil {
			return "", err
		}
		what = fmt.Sprintf("file %d %s", st.Size, sum)
		if st.Nlink > 1 {
			id := [2]uint64{st.Dev, st.Ino}
			if _, ok := first[id]; !ok {
				first[id] = name
			}
			what += fmt.Sprintf(" links=%d first=%q", st.Nlink, first[id])
		}
	case syscall.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		what = fmt.Sprintf("link %q", target)
	case syscall.S_IFDIR:
		what = "dir"
	case syscall.S_IFIFO:
		what = "fifo"
	case syscall.S_IFSOCK:
		what = "socket"
	default:
		what = fmt.Sprintf("device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	attributes, err := xattrs(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q %06o %d:%d %d.%09d %s%s", name, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec, what, attributes), nil
}

func content(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func xattrs(path string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list attributes of %s: %w", path, err)
	}
	var out []string
	for name := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		m, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", fmt.Errorf("attribute %s of %s: %w", name, path, err)
		}
		out = append(out, fmt.Sprintf(" %s=%x", name, value[:m]))
	}
	sort.Strings(out)
	return strings.Join(out, ""), nil
}
