// Package ar lists the members of ar archives as ar(1) and deb(5) describe them: Debian
// packages and static libraries, with the long names of GNU and of BSD.
package ar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Magic is what an archive begins with.
const Magic = "!<arch>\n"

// Bounds of an archive.
const (
	MaxMembers = 100_000
	maxName    = 4096
	maxNames   = 16 << 20 // bytes of GNU's table of long names, and of all names
)

// ErrFormat: bytes that are no archive, or more of one than is read.
var ErrFormat = errors.New("malformed ar archive")

// Member is a member and where its content lies.
type Member struct {
	Name string
	// Time is in seconds since 1970.
	Time     int64
	UID, GID uint64
	Mode     uint64
	Offset   int64
	Size     int64
	// Table tells that it is none of the files, but a table of symbols or names.
	Table bool
}

const (
	headerSize = 60
	headerEnd  = "`\n"
	symbols    = "/"
	symbols64  = "/SYM64/"
	longNames  = "//"
	bsdName    = "#1/"
)

// Read lists the members of the archive of the given size. Errors about its bytes wrap
// [ErrFormat].
func Read(r io.ReaderAt, size int64) ([]Member, error) {
	l := &list{r: r, size: size}
	magic := make([]byte, len(Magic))
	if err := l.read(magic, 0); err != nil {
		return nil, fmt.Errorf("read ar archive: %w", err)
	}
	if string(magic) != Magic {
		return nil, fmt.Errorf("read ar archive: %w: it begins with %q, not %q", ErrFormat, magic, Magic)
	}
	for at := int64(len(Magic)); at < size; {
		next, err := l.member(at)
		if err != nil {
			return nil, fmt.Errorf("read ar archive: member %d at %d: %w", len(l.members)+1, at, err)
		}
		at = next
	}
	return l.members, nil
}

// list is an archive as far as it is read.
type list struct {
	r       io.ReaderAt
	size    int64
	members []Member
	long    []byte // GNU's table of names
	names   int    // bytes of all
}

// read fills b from the bytes at an offset, all of which must lie in the archive.
func (l *list) read(b []byte, at int64) error {
	if at > l.size-int64(len(b)) {
		return fmt.Errorf("%w: cut off", ErrFormat)
	}
	n, err := l.r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// member reads a member and tells where the next one begins.
func (l *list) member(at int64) (next int64, err error) {
	if len(l.members) == MaxMembers {
		return 0, fmt.Errorf("%w: more than %d members", ErrFormat, MaxMembers)
	}
	var h [headerSize]byte
	if err := l.read(h[:], at); err != nil {
		return 0, err
	}
	m, err := parse(h[:])
	if err != nil {
		return 0, err
	}
	m.Offset = at + headerSize
	if m.Size > l.size-m.Offset {
		return 0, fmt.Errorf("%w: %d bytes, and the archive ends after %d", ErrFormat, m.Size, l.size-m.Offset)
	}
	next = m.Offset + m.Size + m.Size%2
	if err := l.name(&m); err != nil {
		return 0, err
	}
	if l.names += len(m.Name); l.names > maxNames {
		return 0, fmt.Errorf("%w: names of more than %d bytes", ErrFormat, maxNames)
	}
	l.members = append(l.members, m)
	return next, nil
}

// parse reads a header; the name is as it stands there.
func parse(h []byte) (m Member, err error) {
	if string(h[58:]) != headerEnd {
		return m, fmt.Errorf("%w: no header", ErrFormat)
	}
	number := func(b []byte, base, bits int) uint64 {
		text := strings.TrimRight(string(b), " ")
		if text == "" || err != nil {
			return 0 // GNU's tables have blanks
		}
		var n uint64
		if n, err = strconv.ParseUint(text, base, bits); err != nil {
			err = fmt.Errorf("%w: number %q", ErrFormat, text)
		}
		return n
	}
	m.Name = strings.TrimRight(string(h[:16]), " ")
	m.Time, m.UID, m.GID = int64(number(h[16:28], 10, 63)), number(h[28:34], 10, 64), number(h[34:40], 10, 64)
	m.Mode, m.Size = number(h[40:48], 8, 64), int64(number(h[48:58], 10, 63))
	return m, err
}

// name finds out the name of a member.
func (l *list) name(m *Member) error {
	switch {
	case m.Name == symbols || m.Name == symbols64 || strings.HasPrefix(m.Name, "__.SYMDEF"):
		m.Table = true
	case m.Name == longNames:
		m.Table = true
		if l.long != nil || m.Size > maxNames {
			return fmt.Errorf("%w: a second table of names, or one of %d bytes", ErrFormat, m.Size)
		}
		l.long = make([]byte, m.Size)
		return l.read(l.long, m.Offset)
	case strings.HasPrefix(m.Name, "/"):
		return l.longName(m)
	case strings.HasPrefix(m.Name, bsdName):
		return l.leadingName(m)
	default:
		m.Name = strings.TrimSuffix(m.Name, "/")
	}
	return nil
}

// longName takes the name from GNU's table, where "/\n" ends it.
func (l *list) longName(m *Member) error {
	at, err := strconv.ParseUint(m.Name[1:], 10, 63)
	if err != nil || at >= uint64(len(l.long)) {
		return fmt.Errorf("%w: name %q", ErrFormat, m.Name)
	}
	name, _, ok := bytes.Cut(l.long[at:], []byte("/\n"))
	if !ok || len(name) > maxName {
		return fmt.Errorf("%w: the name at %d of the table has no end", ErrFormat, at)
	}
	m.Name = string(name)
	return nil
}

// leadingName takes the name from the beginning of the content, as BSD has it.
func (l *list) leadingName(m *Member) error {
	n, err := strconv.ParseUint(m.Name[len(bsdName):], 10, 63)
	if err != nil || n > maxName || int64(n) > m.Size {
		return fmt.Errorf("%w: name %q", ErrFormat, m.Name)
	}
	name := make([]byte, n)
	if err := l.read(name, m.Offset); err != nil {
		return err
	}
	m.Name = string(bytes.TrimRight(name, "\x00"))
	m.Offset, m.Size = m.Offset+int64(n), m.Size-int64(n)
	m.Table = strings.HasPrefix(m.Name, "__.SYMDEF")
	return nil
}
