package fstree

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/format/cpio"
)

// WriteTar writes the tree as a tar archive, sorted by path, every time being
// epoch (seconds since 1970). Capabilities go into SCHILY.xattr records.
func (t *Tree) WriteTar(w io.Writer, epoch int64) error {
	tw := tar.NewWriter(w)
	first := map[*Entry]string{}
	for _, name := range t.Paths() {
		e := t.entries[name]
		h := tarHeader(name, e, time.Unix(epoch, 0))
		if other, ok := first[e]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, other, 0
		}
		first[e] = name
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("archive /%s: %w", name, err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := e.copyTo(tw); err != nil {
				return fmt.Errorf("archive /%s: %w", name, err)
			}
		}
	}
	return tw.Close()
}

func tarHeader(name string, e *Entry, at time.Time) *tar.Header {
	h := &tar.Header{
		Name: name, Mode: int64(e.Mode & 0o7777), Uid: e.UID, Gid: e.GID, ModTime: at,
		Linkname: e.Target, Size: e.Size, Devmajor: int64(e.Major), Devminor: int64(e.Minor),
	}
	switch e.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
	case unix.S_IFCHR:
		h.Typeflag = tar.TypeChar
	case unix.S_IFBLK:
		h.Typeflag = tar.TypeBlock
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		h.Typeflag = tar.TypeReg
	}
	if e.Capability != nil {
		h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": string(e.Capability)}
	}
	return h
}

// WriteCpio writes the tree as a newc archive, sorted by path, for an initial
// RAM file system: everything belongs to root, set-user-ID and set-group-ID
// bits are off, hard links become separate files, and capabilities are lost.
func (t *Tree) WriteCpio(w io.Writer) error {
	cw := cpio.NewWriter(w)
	for _, name := range t.Paths() {
		e := t.entries[name]
		h := &cpio.Header{Name: name, Mode: e.Mode &^ 0o6000, Size: e.Size, Major: e.Major, Minor: e.Minor}
		if e.IsSymlink() {
			h.Size = int64(len(e.Target))
		}
		if err := cw.WriteHeader(h); err != nil {
			return err
		}
		var err error
		switch {
		case e.IsSymlink():
			_, err = io.WriteString(cw, e.Target)
		case e.IsRegular():
			err = e.copyTo(cw)
		}
		if err != nil {
			return fmt.Errorf("archive /%s: %w", name, err)
		}
	}
	return cw.Close()
}

// copyTo writes a regular file's content, which must have the size that the
// entry says.
func (e *Entry) copyTo(w io.Writer) error {
	if e.Source == "" {
		_, err := io.Copy(w, bytes.NewReader(e.Data))
		return err
	}
	f, err := os.Open(e.Source)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(w, io.LimitReader(f, e.Size))
	if err == nil && n != e.Size {
		err = fmt.Errorf("%s shrank to %d of %d bytes while it was read: %w", e.Source, n, e.Size, ErrTree)
	}
	return err
}
