package terminal

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain ä ☃":          "plain ä ☃",
		"\x1b[31mred":        `\x1b[31mred`,
		"a\nb\tc\x00":        `a\nb\tc\x00`,
		"bad \xff\xfe":       `bad \xff\xfe`,
		"turn\u202earound":   `turn\u202earound`,
		"zero\u200bwidth":    `zero\u200bwidth`,
		`back\slash`:         `back\\slash`,
		"replacement \ufffd": "replacement \ufffd",
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b]0;title\x07\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
		}) {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}

func TestBlock(t *testing.T) {
	var out bytes.Buffer
	p := New(&out)
	p.Block("label", 8, strings.Repeat("/a-long-folder-name", 12)+"\x1b")
	for n, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if utf8.RuneCountInString(line) > Width || strings.Contains(line, "\x1b") {
			t.Errorf("line %d: %q", n, line)
		}
	}
	if p.Paint(Red, "x") != "x" {
		t.Error("colour without a terminal")
	}
}

// TestWriteJSON: nothing commands a terminal, and a program reads the same.
func TestWriteJSON(t *testing.T) {
	want := map[string]string{
		"plain": "a <b> \u00e4\u4e16", "\x1b[2J": "\a\x7f\u009b31m", "bidi": "\u202egnp\u2066", "far": "\U000e0041x", "lines": "a\nb",
	}
	var out bytes.Buffer
	if err := WriteJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && !strconv.IsPrint(r) {
			t.Errorf("%U is printed as it is", r)
		}
	}
	if strings.Count(out.String(), "\n") != len(want)+2 {
		t.Errorf("lines of a text are lines of the output: %q", out.String())
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || !maps.Equal(got, want) {
		t.Errorf("read as %q, %v", got, err)
	}
	if err := WriteJSON(&out, func() {}); err == nil {
		t.Error("what is no JSON is written")
	}
}

// TestColour: only a terminal is painted on, and not where people ask not to.
func TestColour(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		name, noColour, term string
		to                   io.Writer
		want                 bool
	}{
		{"a terminal", "", "xterm", terminal, true},
		{"a terminal with NO_COLOR", "1", "xterm", terminal, false},
		{"a dumb terminal", "", "dumb", terminal, false},
		{"a file", "", "xterm", file, false},
		{"a buffer", "", "xterm", &bytes.Buffer{}, false},
	} {
		t.Setenv("NO_COLOR", c.noColour)
		t.Setenv("TERM", c.term)
		if got := strings.Contains(New(c.to).Paint(Red, "x"), "\x1b"); got != c.want {
			t.Errorf("%s: colour %v", c.name, got)
		}
	}
}
