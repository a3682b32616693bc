// Package console turns the bytes of a serial console into lines that can be matched and
// printed. The guest writes them, so nothing in them is trusted: a line is bounded, and
// terminal control sequences and unprintable bytes are taken out.
package console

import (
	"strings"
	"unicode"
)

// MaxLine is the longest line, in bytes; a longer one is cut into several.
const MaxLine = 4096

// maxSequence bounds a terminal control sequence: what is longer is taken for text.
const maxSequence = 64

// Splitter makes lines of what is written to it. The zero value is ready for use.
type Splitter struct {
	line     []byte // the text of the line so far
	sequence []byte // a control sequence that has not ended yet, with its escape
}

// Write adds what was read from the console and returns the lines that it ends, empty
// ones left out.
func (s *Splitter) Write(p []byte) []string {
	var lines []string
	for _, b := range p {
		switch {
		case len(s.sequence) > 0:
			s.escape(b)
		case b == 0x1b:
			s.sequence = append(s.sequence, b)
		case b == '\n' || b == '\r':
			// A carriage return alone goes back over the same line, as firmware menus do:
			// what was there is a line of its own. Empty lines tell nothing.
			if len(s.line) > 0 {
				lines = append(lines, s.take())
			}
		case b == '\t' || b >= 0x20 && b != 0x7f:
			s.line = append(s.line, b)
		}
		if len(s.line) >= MaxLine {
			lines = append(lines, s.take())
		}
	}
	return lines
}

// Pending returns the text of the line that has not ended: a prompt, for instance.
func (s *Splitter) Pending() string { return clean(s.line) }

func (s *Splitter) take() string {
	line := clean(s.line)
	s.line = s.line[:0]
	return line
}

// escape takes the next byte of a control sequence: ESC [ parameters final (ECMA-48 5.4),
// ESC ] text BEL or ESC \ (8.3.89), or ESC and one byte. A sequence that moves the cursor
// to another place separates what stands before and after it: it becomes a space.
func (s *Splitter) escape(b byte) {
	s.sequence = append(s.sequence, b)
	n := len(s.sequence)
	ended := false
	switch kind := s.sequence[1]; {
	case n > maxSequence:
		ended = true
	case kind == '[':
		ended = n > 2 && b >= 0x40 && b <= 0x7e
		if ended && strings.IndexByte("ABCDEFGHJf", b) >= 0 && len(s.line) > 0 && s.line[len(s.line)-1] != ' ' {
			s.line = append(s.line, ' ')
		}
	case kind == ']' || kind == 'P':
		ended = b == 7 || b == '\\' && s.sequence[n-2] == 0x1b
	case kind >= 0x20 && kind <= 0x2f: // an intermediate byte: the final one follows
		ended = n > 2 && b >= 0x30 && b <= 0x7e
	default:
		ended = true
	}
	if ended {
		s.sequence = s.sequence[:0]
	}
}

// clean replaces what is not text and drops what does not print.
func clean(line []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(string(line), "\uFFFD"))
}
