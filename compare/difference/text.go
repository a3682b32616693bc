package difference

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/content"
)

const (
	maxText  = 4 << 20 // bytes of a text that is compared line by line
	maxLines = 20_000  // differing lines that are classified
	maxLine  = 64 << 10
)

// text compares two texts line by line. done is false if they are no texts,
// or too large.
func (w *walker) text(a, b content.Content) (done bool, err error) {
	x, okA, err := readText(a)
	if err != nil {
		return true, w.failed(err)
	}
	y, okB, err := readText(b)
	if err != nil {
		return true, w.failed(err)
	}
	if !okA || !okB || x == y {
		return false, nil // also texts that differ in their padding only
	}
	return true, w.add(textFinding(x, y))
}

// readText is the content as text, without the zeros that pad it.
func readText(c content.Content) (string, bool, error) {
	if c.Size() > maxText {
		return "", false, nil
	}
	b, err := content.ReadAll(c, maxText)
	if err != nil {
		return "", false, err
	}
	b = bytes.TrimRight(b, "\x00")
	return string(b), utf8.Valid(b) && !bytes.ContainsFunc(b, binaryRune), nil
}

// binaryRune tells control characters that no text has.
func binaryRune(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' && r != '\r' && r != '\f' && r != '\v' && r != 0x1b && r != '\b'
}

// textFinding describes how two texts differ.
func textFinding(x, y string) Finding {
	f := Finding{Class: cause.Content, Lines: true}
	a, b := strings.SplitAfter(x, "\n"), strings.SplitAfter(y, "\n")
	first, removed, added := hunk(a, b)
	f.What = fmt.Sprintf("line %d", first+1)
	f.A, f.B = short(firstLine(removed)), short(firstLine(added))
	f.Changed = int64(max(len(removed), len(added)))
	f.Class, f.Note = linesClass(removed, added)
	return f
}

func firstLine(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.TrimSuffix(list[0], "\n")
}

// hunk leaves out the lines that both texts start and end with, and then the
// equal lines between as long as the two stay in step.
func hunk(a, b []string) (first int, removed, added []string) {
	for first < len(a) && first < len(b) && a[first] == b[first] {
		first++
	}
	a, b = a[first:], b[first:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) != len(b) {
		return first, a, b
	}
	for n := range a {
		if a[n] != b[n] {
			removed, added = append(removed, a[n]), append(added, b[n])
		}
	}
	return first, removed, added
}

// linesClass finds a cause that the lines themselves prove.
func linesClass(removed, added []string) (cause.Class, string) {
	if len(removed) != len(added) || len(removed) > maxLines {
		return cause.Content, ""
	}
	if x, y := slices.Sorted(slices.Values(removed)), slices.Sorted(slices.Values(added)); slices.Equal(x, y) {
		return cause.Order, "the same lines in another order"
	}
	for _, e := range erasers {
		if e.equal(removed, added) {
			return e.class, e.note
		}
	}
	return cause.Content, ""
}

// eraser takes out of a line all that could differ for one cause. Lines that
// are equal afterwards differed for that cause alone.
type eraser struct {
	class   cause.Class
	note    string
	pattern *regexp.Regexp
	replace func(string) string
}

var erasers = []eraser{
	{cause.UUID, "equal after leaving out UUIDs", regexp.MustCompile(
		`\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b`), nil},
	{cause.Timestamp, "equal after leaving out dates and times", regexp.MustCompile(
		`\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?(?:` +
			`\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?` +
			`|\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*,? \d{4}` +
			`|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* {1,2}\d{1,2},? (?:\d\d:\d\d:\d\d )?(?:[A-Z]{2,5} )?\d{4}` +
			`|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*,? \d{4}` +
			`|(?:19|20)\d\d[01]\d[0-3]\d(?:T?\d{4,6}Z?)?` +
			`|1\d{9}(?:\d{3})?` +
			`|\d\d:\d\d:\d\d(?:\.\d+)?)` +
			`(?:[ T]\d\d:\d\d(?::\d\d)?)?(?: ?(?:[+-]\d\d:?\d\d|Z|UTC|GMT|[A-Z]{3,4}))?\b`), nil},
	{cause.Path, "equal after leaving out paths", regexp.MustCompile(`(?:/[\w.+@~-]+){2,}/?`), nil},
	{cause.Random, "equal after leaving out long strings of the same length", regexp.MustCompile(
		`[0-9a-zA-Z+/_-]{16,}={0,2}`), func(s string) string { return fmt.Sprintf("<%d>", len(s)) }},
}

func (e *eraser) erase(s string) string {
	replace := e.replace
	if replace == nil {
		replace = func(string) string { return "<>" }
	}
	return e.pattern.ReplaceAllStringFunc(s, replace)
}

func (e *eraser) equal(a, b []string) bool {
	for n := range a {
		if len(a[n]) > maxLine || len(b[n]) > maxLine || e.erase(a[n]) != e.erase(b[n]) {
			return false
		}
	}
	return len(a) > 0
}

const (
	maxStrings = 64  // runs that are looked at as strings
	stringWing = 256 // bytes before and after a run
)

// stringsClass finds a cause that the printable strings around the runs prove,
// if every run lies in one.
func stringsClass(a, b content.Content, runs []content.Range) (cause.Class, string, error) {
	if len(runs) > maxStrings {
		return "", "", nil
	}
	var x, y []string
	for _, r := range runs {
		from := max(0, r.Offset-stringWing)
		to := min(a.Size(), r.End()+stringWing)
		if to-from > maxLine {
			return "", "", nil
		}
		p, q := make([]byte, to-from), make([]byte, to-from)
		if err := content.ReadFull(a, p, from); err != nil {
			return "", "", err
		}
		if err := content.ReadFull(b, q, from); err != nil {
			return "", "", err
		}
		lo, hi := int(r.Offset-from), int(r.End()-from)
		s, okA := stringAround(p, lo, hi)
		t, okB := stringAround(q, lo, hi)
		if !okA || !okB {
			return "", "", nil
		}
		x, y = append(x, s), append(y, t)
	}
	class, note := linesClass(x, y)
	if class == cause.Content || class == cause.Order {
		return "", "", nil
	}
	return class, note, nil
}

// stringAround is the printable string that holds b[lo:hi], if it is one.
func stringAround(b []byte, lo, hi int) (string, bool) {
	printable := func(c byte) bool { return c >= 0x20 && c < 0x7f || c == '\t' || c == '\n' }
	for _, c := range b[lo:hi] {
		if !printable(c) {
			return "", false
		}
	}
	for lo > 0 && printable(b[lo-1]) {
		lo--
	}
	for hi < len(b) && printable(b[hi]) {
		hi++
	}
	return string(b[lo:hi]), hi-lo >= 4
}
