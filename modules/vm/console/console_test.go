package console

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		in      string
		lines   []string
		pending string
	}{
		{"one\r\ntwo\n", []string{"one", "two"}, ""},
		{"\n\r\n", nil, ""},
		{"login: ", nil, "login: "},
		{"10%\r20%\r", []string{"10%", "20%"}, ""},
		{"\x1b[2J\x1b[01;01H\x1b[0m\x1b[35mBdsDxe: loading\x1b[0m\r\n", []string{"BdsDxe: loading"}, ""},
		{"left\x1b[10;40Hright\n", []string{"left right"}, ""},
		{"\x1b]0;a title\x07text\x1b(B\x1b7!\n", []string{"text!"}, ""},
		{"\x1b]8;;http://x\x1b\\link\n", []string{"link"}, ""},
		{"bell\x07 nul\x00 tab\tdel\x7f\n", []string{"bell nul tab\tdel"}, ""},
		{"bad \xff\xfe end\n", []string{"bad \uFFFD end"}, ""},
		{"c1 \u009b31m\n", []string{"c1 31m"}, ""},
	} {
		// The cut between two reads must not matter.
		for cut := range len(c.in) + 1 {
			var s Splitter
			lines := append(s.Write([]byte(c.in[:cut])), s.Write([]byte(c.in[cut:]))...)
			if !slices.Equal(lines, c.lines) || s.Pending() != c.pending {
				t.Errorf("%q cut at %d: %q, pending %q", c.in, cut, lines, s.Pending())
			}
		}
	}
}

func TestSplitterBounds(t *testing.T) {
	var s Splitter
	lines := s.Write([]byte(strings.Repeat("x", 3*MaxLine)))
	if len(lines) != 3 || len(lines[0]) != MaxLine || s.Pending() != "" {
		t.Errorf("%d lines, pending %d", len(lines), len(s.Pending()))
	}
	// A sequence without an end does not swallow the console.
	lines = s.Write([]byte("\x1b]" + strings.Repeat("y", 200) + "\nseen\n"))
	if len(lines) == 0 || lines[len(lines)-1] != "seen" {
		t.Errorf("after an endless sequence: %q", lines)
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("\x1b[2Jone\r\ntwo\x1b]0;t\x07"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s Splitter
		for _, line := range append(s.Write(in), s.Pending()) {
			// Replaced bytes grow to three.
			if len(line) > 3*MaxLine {
				t.Errorf("a line of %d bytes", len(line))
			}
			for _, r := range line {
				if r != '\t' && !unicode.IsPrint(r) {
					t.Errorf("line %q holds %q", line, r)
				}
			}
		}
	})
}
