package cpio

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Reader reads the members of one archive.
type Reader struct {
	r      io.Reader
	at     int64
	remain int64
}

// NewReader returns a Reader of the archive that begins at r's next byte.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next skips what is left of the current member and returns the header of the
// next, io.EOF after the last. A leading "./" of a name is taken off; a name
// that is not a clean relative path is an error, as is an archive without its
// end. Errors wrap ErrFormat, or are the underlying reader's.
func (r *Reader) Next() (*Header, error) {
	if err := r.skip(r.remain); err != nil {
		return nil, err
	}
	r.remain = 0
	if err := r.skip((4 - r.at%4) % 4); err != nil {
		return nil, err
	}
	var raw [headerSize]byte
	if err := r.full(raw[:]); err != nil {
		return nil, err
	}
	if m := string(raw[:6]); m != magic {
		return nil, fmt.Errorf("read archive: member begins with %q: %w", m, ErrFormat)
	}
	var field [13]uint32
	for i := range field {
		var b [4]byte
		if _, err := hex.Decode(b[:], raw[6+8*i:14+8*i]); err != nil {
			return nil, fmt.Errorf("read archive: header field %d is not a number: %w", i, ErrFormat)
		}
		field[i] = binary.BigEndian.Uint32(b[:])
	}
	name, err := r.name(field[11])
	if err != nil {
		return nil, err
	}
	if name == trailer {
		return nil, io.EOF
	}
	if name = strings.TrimPrefix(name, "./"); name != "." {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
	}
	if err := r.skip((4 - r.at%4) % 4); err != nil {
		return nil, err
	}
	r.remain = int64(field[6])
	return &Header{Name: name, Mode: field[1], Size: r.remain, Major: field[9], Minor: field[10]}, nil
}

func (r *Reader) name(size uint32) (string, error) {
	if size < 2 || size > MaxName {
		return "", fmt.Errorf("read archive: member name of %d bytes: %w", size, ErrFormat)
	}
	b := make([]byte, size)
	if err := r.full(b); err != nil {
		return "", err
	}
	if i := bytes.IndexByte(b, 0); i != len(b)-1 {
		return "", fmt.Errorf("read archive: member name does not end where its length says: %w", ErrFormat)
	}
	return string(b[:len(b)-1]), nil
}

// Read reads content of the current member.
func (r *Reader) Read(p []byte) (int, error) {
	if r.remain == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.remain {
		p = p[:r.remain]
	}
	n, err := r.r.Read(p)
	r.at, r.remain = r.at+int64(n), r.remain-int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if r.remain > 0 {
			err = fmt.Errorf("read archive: ends within a member: %w", ErrFormat)
		}
	}
	return n, err
}

func (r *Reader) full(b []byte) error {
	n, err := io.ReadFull(r.r, b)
	r.at += int64(n)
	return ended(err)
}

func (r *Reader) skip(n int64) error {
	m, err := io.CopyN(io.Discard, r.r, n)
	r.at += m
	return ended(err)
}

// ended says that the archive ended early where err is the end of input.
func ended(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read archive: ends early: %w", ErrFormat)
	}
	return fmt.Errorf("read archive: %w", err)
}
