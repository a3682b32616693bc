package deb

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxEntries bounds the files of one package.
const maxEntries = 1 << 20

// Unpack puts the files of packages into the folder root, one package after the
// other; a file of a later package replaces one of an earlier package. Owners,
// modes and modification times are those of the packages; directories get the
// newest time of all files. Symbolic links in root are followed where they stay
// within it. No maintainer script runs.
func Unpack(names []string, root string, filter Filter) (Unpacked, error) {
	tree, err := os.OpenRoot(root)
	if err != nil {
		return Unpacked{}, fmt.Errorf("unpack: %w", err)
	}
	defer tree.Close()
	u := &unpacker{root: tree, filter: filter, dirs: map[string]bool{".": true}}
	streams := ahead(names)
	defer streams.stop()
	for i, name := range names {
		u.unpacked.Paths = append(u.unpacked.Paths, nil)
		if err := u.packageData(streams.get(i)); err != nil {
			return Unpacked{}, fmt.Errorf("unpack %s: %w", path.Base(name), err)
		}
	}
	return u.unpacked, u.dateDirectories()
}

// Unpacked is what came out of packages.
type Unpacked struct {
	// Newest is the newest modification time of a file.
	Newest time.Time
	// Paths are, for each package, the paths below the root that it brought,
	// directories included.
	Paths [][]string
}

type unpacker struct {
	root     *os.Root
	filter   Filter
	dirs     map[string]bool
	unpacked Unpacked
	entries  int
}

func (u *unpacker) packageData(r io.Reader) error {
	u.entries = 0
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			// To the end of the stream: its checksum comes last.
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: data.tar: %w", ErrFormat, err)
		}
		if u.entries++; u.entries > maxEntries {
			return fmt.Errorf("%w: more than %d files", ErrFormat, maxEntries)
		}
		name, err := cleanName(h.Name)
		if err != nil {
			return err
		}
		if name == "." || !u.filter.Keep("/"+name, h.Typeflag == tar.TypeDir) {
			continue
		}
		if err := u.entry(name, h, t); err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
		last := len(u.unpacked.Paths) - 1
		u.unpacked.Paths[last] = append(u.unpacked.Paths[last], name)
	}
}

// cleanName returns a member's path without "./" and slashes around it.
func cleanName(name string) (string, error) {
	n := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if n == "" || n == "." {
		return ".", nil
	}
	if !fs.ValidPath(n) || strings.ContainsAny(n, "\x00\n") {
		return "", fmt.Errorf("%w: path %.200q", ErrFormat, name)
	}
	return n, nil
}

func (u *unpacker) entry(name string, h *tar.Header, content io.Reader) error {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			return fmt.Errorf("%w: extended attribute %.80q", ErrFormat, key)
		}
	}
	if h.Typeflag == tar.TypeDir {
		return u.directory(name, h)
	}
	if err := u.parents(name); err != nil {
		return err
	}
	if h.ModTime.After(u.unpacked.Newest) {
		u.unpacked.Newest = h.ModTime
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return u.regular(name, h, content)
	case tar.TypeSymlink:
		if err := u.clear(name); err != nil {
			return err
		}
		if err := u.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		return u.root.Lchown(name, h.Uid, h.Gid)
	case tar.TypeLink:
		target, err := cleanName(h.Linkname)
		if err != nil {
			return err
		}
		if err := u.clear(name); err != nil {
			return err
		}
		return u.root.Link(target, name)
	}
	return fmt.Errorf("%w: a file of type %q", ErrFormat, h.Typeflag)
}

// directory makes a directory, or leaves alone what is one already, be it
// through a symbolic link.
func (u *unpacker) directory(name string, h *tar.Header) error {
	if info, err := u.root.Stat(name); err == nil && info.IsDir() {
		if link, err := u.root.Lstat(name); err == nil && link.Mode()&fs.ModeSymlink != 0 {
			return nil
		}
	} else {
		if err := u.parents(name); err != nil {
			return err
		}
		if err := u.root.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	u.dirs[name] = true
	return u.own(name, h)
}

// parents makes the directories above name that no package has brought yet.
func (u *unpacker) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." || u.dirs[dir] {
		return nil
	}
	if _, err := u.root.Stat(dir); err == nil {
		return nil
	}
	if err := u.parents(dir); err != nil {
		return err
	}
	if err := u.root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	u.dirs[dir] = true
	return u.root.Chmod(dir, 0o755)
}

func (u *unpacker) regular(name string, h *tar.Header, content io.Reader) error {
	if err := u.clear(name); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := u.own(name, h); err != nil {
		return err
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

// clear removes what stands at name, unless it is a directory.
func (u *unpacker) clear(name string) error {
	info, err := u.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%w: a directory is in the way", ErrFormat)
	}
	return u.root.Remove(name)
}

// own sets owner and mode; the mode last, for chown takes setuid away.
func (u *unpacker) own(name string, h *tar.Header) error {
	if err := u.root.Lchown(name, h.Uid, h.Gid); err != nil {
		return err
	}
	return u.root.Chmod(name, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
}

// dateDirectories comes last: each file in a directory changed its time.
func (u *unpacker) dateDirectories() error {
	names := make([]string, 0, len(u.dirs))
	for name := range u.dirs {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := u.root.Chtimes(name, u.unpacked.Newest, u.unpacked.Newest); err != nil {
			return fmt.Errorf("unpack: /%s: %w", name, err)
		}
	}
	return nil
}

// prefetch is how many packages are decompressed at the same time, and
// chunk*depth how far each may run ahead: decompression is what takes the time.
const (
	prefetch = 4
	chunk    = 256 << 10
	depth    = 64
)

// streams are the data.tar of packages, decompressed ahead of their use.
type streams struct {
	readers []*io.PipeReader
	group   *errgroup.Group
}

func ahead(names []string) *streams {
	s := &streams{group: &errgroup.Group{}}
	s.group.SetLimit(prefetch)
	writers := make([]*io.PipeWriter, len(names))
	for i := range names {
		r, w := io.Pipe()
		s.readers = append(s.readers, r)
		writers[i] = w
	}
	go func() {
		for i, name := range names {
			s.group.Go(func() error {
				writers[i].CloseWithError(decompress(name, writers[i]))
				return nil
			})
		}
	}()
	return s
}

func (s *streams) get(i int) io.Reader { return s.readers[i] }

// stop makes the writers of what was not read fail.
func (s *streams) stop() {
	for _, r := range s.readers {
		r.Close()
	}
}

// decompress writes a package's data.tar to w, through a queue of chunks, so
// that it runs ahead of a reader that is busy with another package.
func decompress(name string, w io.Writer) error {
	p, err := Open(name)
	if err != nil {
		return err
	}
	defer p.Close()
	data, err := p.Data()
	if err != nil {
		return err
	}
	defer data.Close()
	queue := make(chan []byte, depth)
	failed := make(chan error, 1)
	go func() {
		var err error
		for b := range queue {
			if err == nil {
				_, err = w.Write(b)
			}
		}
		failed <- err
	}()
	err = fill(data, queue)
	close(queue)
	if written := <-failed; err == nil {
		return written
	}
	return err
}

// fill sends what r has in chunks.
func fill(r io.Reader, queue chan<- []byte) error {
	for {
		b := make([]byte, chunk)
		n := 0
		var err error
		for n < len(b) && err == nil {
			var m int
			m, err = r.Read(b[n:])
			n += m
		}
		if n > 0 {
			queue <- b[:n]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
