// Package byterange describes which bytes of a file may differ between
// organisations, and compares files under such a description.
//
// The description is data that the step which makes a file emits. It is JSON:
//
//	{"files": [{"file": "vmlinux", "size": 123, "ranges": [
//	  {"offset": 64, "length": 4, "what": "length of the certificate"}]}]}
package byterange

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrInvalid reports a description that contradicts itself or the file it
// describes.
var ErrInvalid = errors.New("invalid byte ranges")

// MaxSize bounds the JSON text that Read accepts.
const MaxSize = 1 << 20

// maxRanges bounds the ranges of one file and the files of one description.
const maxRanges = 4096

// Range is a run of bytes of a file that may differ, and what they are.
type Range struct {
	Offset int64  `json:"offset"` // in bytes, from the start of the file
	Length int64  `json:"length"` // in bytes, at least 1
	What   string `json:"what"`
}

// File lists the ranges of one file, in ascending order and without overlap.
type File struct {
	File   string  `json:"file"` // base name
	Size   int64   `json:"size"` // in bytes; the same for everybody
	Ranges []Range `json:"ranges"`
}

// Set is the description of all files that a step makes.
type Set struct {
	Files []File `json:"files"`
}

// Read parses a description and checks it. It accepts at most MaxSize bytes.
func Read(r io.Reader) (*Set, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read byte ranges: %w", err)
	}
	if len(text) > MaxSize {
		return nil, fmt.Errorf("read byte ranges: %w: more than %d bytes", ErrInvalid, MaxSize)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	set := new(Set)
	if err := decoder.Decode(set); err != nil {
		return nil, fmt.Errorf("read byte ranges: %w: %v", ErrInvalid, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("read byte ranges: %w: text after the description", ErrInvalid)
	}
	if err := set.check(); err != nil {
		return nil, fmt.Errorf("read byte ranges: %w", err)
	}
	return set, nil
}

func (s *Set) check() error {
	if len(s.Files) > maxRanges {
		return fmt.Errorf("%w: more than %d files", ErrInvalid, maxRanges)
	}
	seen := make(map[string]bool)
	for _, f := range s.Files {
		if f.File == "" || seen[f.File] {
			return fmt.Errorf("%w: file name %q is empty or stands twice", ErrInvalid, f.File)
		}
		seen[f.File] = true
		if err := f.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Check tells whether the ranges are in order, without overlap and inside of
// the file.
func (f File) Check() error {
	if f.Size < 0 || len(f.Ranges) > maxRanges {
		return fmt.Errorf("%w: %s: size %d with %d ranges", ErrInvalid, f.File, f.Size, len(f.Ranges))
	}
	end := int64(0)
	for _, r := range f.Ranges {
		if r.Offset < end || r.Length < 1 || r.Offset > f.Size || r.Length > f.Size-r.Offset {
			return fmt.Errorf("%w: %s: range at %d of %d bytes is out of order or outside of %d bytes",
				ErrInvalid, f.File, r.Offset, r.Length, f.Size)
		}
		end = r.Offset + r.Length
	}
	return nil
}

// File returns the description of the named file, or an error that wraps
// ErrInvalid if there is none.
func (s *Set) File(name string) (File, error) {
	for _, f := range s.Files {
		if f.File == name {
			return f, nil
		}
	}
	return File{}, fmt.Errorf("%w: nothing is said of %q", ErrInvalid, name)
}

// JSON returns the description as indented text that ends with a newline. The
// same description gives the same bytes.
func (s *Set) JSON() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode byte ranges: %w", err)
	}
	return append(text, '\n'), nil
}

// Outside returns the offset of the first byte outside of the ranges in which
// a and b differ, or -1 if there is none. Content of another length than the
// description says is an error that wraps ErrInvalid.
func (f File) Outside(a, b []byte) (int64, error) {
	if err := f.Check(); err != nil {
		return -1, err
	}
	for _, content := range [][]byte{a, b} {
		if int64(len(content)) != f.Size {
			return -1, fmt.Errorf("%w: %s: %d bytes, described are %d", ErrInvalid, f.File, len(content), f.Size)
		}
	}
	start := int64(0)
	for _, r := range append(f.Ranges[:len(f.Ranges):len(f.Ranges)], Range{Offset: f.Size}) {
		if i := firstDifference(a[start:r.Offset], b[start:r.Offset]); i >= 0 {
			return start + int64(i), nil
		}
		start = r.Offset + r.Length
	}
	return -1, nil
}

func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// Digest returns the SHA-256 of the content with every byte inside of the
// ranges taken as zero: equal for files that differ inside of the ranges only.
func (f File) Digest(content []byte) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	if err := f.Check(); err != nil {
		return sum, err
	}
	if int64(len(content)) != f.Size {
		return sum, fmt.Errorf("%w: %s: %d bytes, described are %d", ErrInvalid, f.File, len(content), f.Size)
	}
	hash := sha256.New()
	zeros := make([]byte, 4096)
	start := int64(0)
	for _, r := range f.Ranges {
		hash.Write(content[start:r.Offset])
		for n := r.Length; n > 0; n -= min(n, int64(len(zeros))) {
			hash.Write(zeros[:min(n, int64(len(zeros)))])
		}
		start = r.Offset + r.Length
	}
	hash.Write(content[start:])
	hash.Sum(sum[:0])
	return sum, nil
}
