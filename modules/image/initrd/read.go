package initrd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/zstd"

	"github.com/mastercard/mangos/format/cpio"
	"github.com/mastercard/mangos/format/zstdframe"
)

// Limits of what is read.
const (
	maxMembers = 1 << 20
	maxContent = 4 << 30   // bytes, decompressed
	maxWindow  = 128 << 20 // of the kernel's decompressor
)

// Read visits the members of an initrd that [Append] made, but for the command
// line at its end. content is what the member holds, until visit returns.
//
// The kernel takes many things for an initrd: archives one after the other, names
// that occur twice, hard links, names that lead over a symbolic link. What Read
// accepts is what [Build] and Append write, byte for byte before the compression,
// and followed by this command line: so nothing is unpacked that was not visited.
func Read(initrd []byte, commandLine string, visit func(h *cpio.Header, content io.Reader) error) error {
	base, err := detach(initrd, commandLine)
	if err != nil {
		return fmt.Errorf("read initrd: %w", err)
	}
	z, err := zstd.NewReader(bytes.NewReader(base), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxContent))
	if err != nil {
		return fmt.Errorf("read initrd: %w", err)
	}
	defer z.Close()
	if err := members(io.LimitReader(z, maxContent), visit); err != nil {
		return fmt.Errorf("read initrd: %w", err)
	}
	return nil
}

// detach returns the one frame that an initrd begins with: the command line's
// archive follows it, and nothing else.
func detach(initrd []byte, commandLine string) ([]byte, error) {
	frame, err := zstdframe.Parse(initrd)
	if err != nil {
		return nil, err
	}
	base := initrd[:frame.Length]
	want := bytes.NewBuffer(make([]byte, 0, len(initrd)))
	if err := Append(want, bytes.NewReader(base), commandLine); err != nil {
		return nil, err
	}
	if !bytes.Equal(want.Bytes(), initrd) {
		return nil, fmt.Errorf("something else follows the compressed archive than the command line's: %w", ErrInitrd)
	}
	return base, nil
}

// members visits an archive. Each of its bytes must be what a [cpio.Writer] writes
// of the member, so that there is one way to read it.
func members(r io.Reader, visit func(*cpio.Header, io.Reader) error) error {
	m := &mirror{}
	r = io.TeeReader(r, &m.was)
	in, again := cpio.NewReader(r), cpio.NewWriter(m)
	folders := map[string]bool{".": true}
	last := ""
	for n := 0; ; n++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n == maxMembers {
			return fmt.Errorf("more than %d members: %w", maxMembers, ErrInitrd)
		}
		if h.Name <= last || !folders[path.Dir(h.Name)] {
			return fmt.Errorf("/%s stands behind /%s, or is in no folder: %w", h.Name, last, ErrInitrd)
		}
		if last = h.Name; h.Mode&cpio.TypeMask == cpio.TypeDir {
			folders[h.Name] = true
		}
		if err := again.WriteHeader(h); err != nil {
			return err
		}
		content := io.TeeReader(in, again)
		if err := visit(h, content); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return fmt.Errorf("/%s: %w", h.Name, err)
		}
	}
	// What follows the end is at most its padding.
	if _, err := io.CopyN(io.Discard, r, 4); !errors.Is(err, io.EOF) {
		return errors.Join(err, fmt.Errorf("something follows the archive: %w", ErrInitrd))
	}
	if err := again.Close(); err != nil {
		return err
	}
	if m.was.Len() > 0 {
		return errSpelling
	}
	return nil
}

var errSpelling = fmt.Errorf("the archive is not spelled as this program spells it: %w", ErrInitrd)

// mirror compares what is written to it with what was read.
type mirror struct{ was bytes.Buffer }

// Write implements [io.Writer].
func (m *mirror) Write(p []byte) (int, error) {
	if !bytes.Equal(m.was.Next(len(p)), p) {
		return 0, errSpelling
	}
	return len(p), nil
}
