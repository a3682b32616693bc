// Package control reads deb822 files: the paragraphs of Release, Packages and
// Sources indexes, of .dsc files and of a package's control file.
//
// The readers of pault.ag/go/debian take a line and a paragraph of any length;
// what comes from an archive is hostile, and an index has seventy thousand
// paragraphs, so this one is bounded and keeps the fields as they are.
package control

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of one paragraph. The largest in Debian's indexes has about 300 kB.
const (
	MaxParagraph = 8 << 20
	MaxFields    = 256
)

// ErrSyntax is wrapped by every error about a file's content.
var ErrSyntax = errors.New("invalid control data")

// Field is one field of a paragraph. The lines of a folded value are separated
// by a newline and keep what follows their first blank.
type Field struct {
	Name  string
	Value string
}

// Paragraph is a list of fields, in the order of the file.
type Paragraph []Field

// Get returns the value of the field of that name, compared without case, and
// the empty string when there is none.
func (p Paragraph) Get(name string) string {
	for i := range p {
		if strings.EqualFold(p[i].Name, name) {
			return p[i].Value
		}
	}
	return ""
}

// Reader reads the paragraphs of one file.
type Reader struct {
	scanner *bufio.Scanner
	line    int
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader {
	s := bufio.NewScanner(r)
	s.Buffer(nil, MaxParagraph)
	return &Reader{scanner: s}
}

// Next returns the next paragraph, or io.EOF after the last one.
func (r *Reader) Next() (Paragraph, error) {
	var text []byte
	var p Paragraph
	size := 0
	flush := func() error {
		if text == nil {
			return nil
		}
		field, err := parseField(text)
		if err != nil {
			return r.errorf("%v", err)
		}
		if p.has(field.Name) {
			return r.errorf("field %q stands there twice", field.Name)
		}
		if len(p) == MaxFields {
			return r.errorf("more than %d fields in a paragraph", MaxFields)
		}
		p = append(p, field)
		text = nil
		return nil
	}
	for r.scanner.Scan() {
		r.line++
		line := bytes.TrimRight(r.scanner.Bytes(), " \t\r")
		if size += len(line) + 1; size > MaxParagraph {
			return nil, r.errorf("a paragraph of more than %d bytes", MaxParagraph)
		}
		switch {
		case len(line) == 0:
			if err := flush(); err != nil {
				return nil, err
			}
			if len(p) > 0 {
				return p, nil
			}
			size = 0
		case line[0] == ' ' || line[0] == '\t':
			if text == nil {
				return nil, r.errorf("a continuation line without a field")
			}
			text = append(text, '\n')
			text = append(text, line[1:]...)
		case line[0] == '#':
		default:
			if err := flush(); err != nil {
				return nil, err
			}
			text = append([]byte{}, line...)
		}
	}
	if err := r.scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, r.errorf("a line of more than %d bytes", MaxParagraph)
	} else if err != nil {
		return nil, fmt.Errorf("read control data: %w", err)
	}
	if err := flush(); err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, io.EOF
	}
	return p, nil
}

func (p Paragraph) has(name string) bool {
	for i := range p {
		if strings.EqualFold(p[i].Name, name) {
			return true
		}
	}
	return false
}

func (r *Reader) errorf(format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrSyntax, r.line, fmt.Sprintf(format, args...))
}

func parseField(text []byte) (Field, error) {
	colon := bytes.IndexByte(text, ':')
	if colon < 1 {
		return Field{}, fmt.Errorf("neither a field nor a continuation: %.60q", text)
	}
	name := text[:colon]
	for _, c := range name {
		if c <= ' ' || c > '~' || c == '\n' {
			return Field{}, fmt.Errorf("field name %.60q", name)
		}
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return Field{}, fmt.Errorf("field %.60q holds a zero byte", name)
	}
	return Field{Name: string(name), Value: strings.TrimLeft(string(text[colon+1:]), " \t")}, nil
}

// Single reads a file of exactly one paragraph.
func Single(r io.Reader) (Paragraph, error) {
	reader := NewReader(r)
	p, err := reader.Next()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: no paragraph", ErrSyntax)
	}
	if err != nil {
		return nil, err
	}
	if _, err := reader.Next(); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: more than one paragraph", ErrSyntax)
	}
	return p, nil
}
