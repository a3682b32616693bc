package terminal

import (
	"bytes"
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
