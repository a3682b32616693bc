// Package terminal prints what others wrote so that it cannot command a
// terminal, lie about its order, or run over the line.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Width is the number of columns that output fits into.
const Width = 80

// Escape makes text printable: control characters, invalid UTF-8, and all that
// Unicode does not call graphic (direction marks, zero widths) are written as
// escapes of Go, a backslash too, so that the original can be told.
func Escape(s string) string {
	plain := true
	for _, r := range s {
		if r == '\\' || r == utf8.RuneError || !strconv.IsPrint(r) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for n := 0; n < len(s); {
		r, size := utf8.DecodeRuneInString(s[n:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[n])
		case r == '\\':
			b.WriteString(`\\`)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		n += size
	}
	return b.String()
}

// Wrap breaks escaped text into lines of at most width columns: at spaces, or
// after slashes where a word is longer than a line.
func Wrap(s string, width int) []string {
	var lines []string
	for {
		r := []rune(s)
		if len(r) <= width {
			return append(lines, s)
		}
		cut := width
		for n := width; n > width/3; n-- {
			if r[n] == ' ' || r[n-1] == '/' {
				cut = n
				break
			}
		}
		lines = append(lines, strings.TrimRight(string(r[:cut]), " "))
		s = strings.TrimLeft(string(r[cut:]), " ")
	}
}

// Style is a way to emphasise text.
type Style string

// The styles, by their ANSI numbers.
const (
	Bold   Style = "1"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Faint  Style = "2"
)

// Printer prints lines, with colour only where that is wanted.
type Printer struct {
	w      io.Writer
	colour bool
	err    error
}

// New is a printer to w. Colour is used if w is a terminal, NO_COLOR is not
// set and TERM is not "dumb".
func New(w io.Writer) *Printer {
	f, ok := w.(*os.File)
	colour := false
	if ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		info, err := f.Stat()
		colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return &Printer{w: w, colour: colour}
}

// Paint emphasises escaped text.
func (p *Printer) Paint(s Style, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// Line prints text that is already escaped, and a newline.
func (p *Printer) Line(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, text+"\n")
	}
}

// Block prints text that is not escaped yet, wrapped, each line after indent
// columns; label stands in front of the first one.
func (p *Printer) Block(label string, indent int, text string) {
	for n, line := range Wrap(Escape(text), Width-indent) {
		lead := strings.Repeat(" ", indent)
		if n == 0 && label != "" {
			lead = fmt.Sprintf("%-*s", indent, label)
		}
		p.Line(strings.TrimRight(lead+line, " "))
	}
}

// Err is the first error of printing.
func (p *Printer) Err() error { return p.err }
