// Package deb reads Debian binary packages (deb(5)): an ar archive of
// debian-binary, control.tar and data.tar.
package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	"github.com/mastercard/mangos/modules/debian/control"
)

// ErrFormat is wrapped by every error about a package's content.
var ErrFormat = errors.New("invalid Debian package")

// Limits of a package, in bytes.
const (
	MaxControl = 64 << 20
	MaxData    = 16 << 30
)

// maxDictionary bounds the memory of decompression: xz -9 uses 64 MiB.
const maxDictionary = 64 << 20

const (
	arMagic  = "!<arch>\n"
	arHeader = 60
)

// Package is an open package file.
type Package struct {
	file          *os.File
	control, data member
	built         time.Time
}

type member struct {
	name         string
	offset, size int64
	date         int64
}

// Open reads the outer archive of the package file at name.
func Open(name string) (*Package, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open package: %w", err)
	}
	p := &Package{file: f}
	info, err := f.Stat()
	if err == nil {
		err = p.scan(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open package %s: %w", path.Base(name), err)
	}
	return p, nil
}

// Close closes the file.
func (p *Package) Close() error { return p.file.Close() }

// scan finds the three members that a package has, in their order; members after
// them are ignored, as deb(5) says.
func (p *Package) scan(r io.ReaderAt, size int64) error {
	members, err := readAr(r, size)
	if err != nil {
		return err
	}
	if len(members) < 3 || members[0].name != "debian-binary" {
		return fmt.Errorf("%w: debian-binary, control.tar and data.tar are not there in this order", ErrFormat)
	}
	version := make([]byte, min(members[0].size, 64))
	if _, err := r.ReadAt(version, members[0].offset); err != nil && err != io.EOF {
		return err
	}
	if !bytes.HasPrefix(version, []byte("2.")) {
		return fmt.Errorf("%w: format version %.20q", ErrFormat, version)
	}
	p.control, p.data, p.built = members[1], members[2], time.Unix(members[0].date, 0).UTC()
	if !strings.HasPrefix(p.control.name, "control.tar") || !strings.HasPrefix(p.data.name, "data.tar") {
		return fmt.Errorf("%w: members %.20q and %.20q instead of control.tar and data.tar", ErrFormat, p.control.name, p.data.name)
	}
	return nil
}

// readAr lists the first members of an ar archive.
func readAr(r io.ReaderAt, size int64) ([]member, error) {
	magic := make([]byte, len(arMagic))
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != arMagic {
		return nil, fmt.Errorf("%w: not an ar archive", ErrFormat)
	}
	var members []member
	for offset := int64(len(arMagic)); offset < size && len(members) < 8; {
		var h [arHeader]byte
		if _, err := r.ReadAt(h[:], offset); err != nil {
			return nil, fmt.Errorf("%w: cut off in a member's header", ErrFormat)
		}
		n, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
		date, dateErr := strconv.ParseInt(strings.TrimRight(string(h[16:28]), " "), 10, 64)
		if err != nil || dateErr != nil || date < 0 || n < 0 || string(h[58:60]) != "`\n" || n > size-offset-arHeader {
			return nil, fmt.Errorf("%w: a member's header makes no sense", ErrFormat)
		}
		name := strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
		members = append(members, member{name, offset + arHeader, n, date})
		offset += arHeader + n + n%2
	}
	return members, nil
}

// open returns the unpacked bytes of a tar member, at most limit of them.
func (p *Package) open(m member, limit int64) (io.ReadCloser, error) {
	section := io.NewSectionReader(p.file, m.offset, m.size)
	var r io.Reader
	closer := func() {}
	switch ending := path.Ext(m.name); ending {
	case ".tar":
		r = section
	case ".gz":
		z, err := gzip.NewReader(section)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, m.name, err)
		}
		r = z
	case ".xz":
		z, err := xz.NewReader(section, maxDictionary)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, m.name, err)
		}
		r = z
	case ".zst":
		z, err := zstd.NewReader(section, zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, m.name, err)
		}
		r, closer = z, z.Close
	default:
		return nil, fmt.Errorf("%w: %s: compression %q", ErrFormat, m.name, ending)
	}
	return &limited{r: r, left: limit, close: closer}, nil
}

// limited fails, instead of ending, after too many bytes.
type limited struct {
	r     io.Reader
	left  int64
	close func()
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: unpacks to too much", ErrFormat)
	}
	return n, err
}

func (l *limited) Close() error { l.close(); return nil }

// Built returns the date that the package was built with: for Debian's the date
// of its newest changelog entry, which no file in it exceeds.
func (p *Package) Built() time.Time { return p.built }

// Data returns the tar stream of the package's files.
func (p *Package) Data() (io.ReadCloser, error) { return p.open(p.data, MaxData) }

// Control returns the package's control paragraph.
func (p *Package) Control() (control.Paragraph, error) {
	r, err := p.open(p.control, MaxControl)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("%w: no control file", ErrFormat)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: control.tar: %w", ErrFormat, err)
		}
		if path.Clean(h.Name) == "control" && h.Typeflag == tar.TypeReg {
			c, err := control.Single(t)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrFormat, err)
			}
			return c, nil
		}
	}
}
