// Package version orders versions as systemd does: the UAPI group's Version
// Format Specification.
package version

import (
	"cmp"
	"strings"
)

// Compare returns -1 where a is older than b, 1 where it is newer, 0 where
// neither is.
func Compare(a, b string) int {
	for {
		a, b = skip(a), skip(b)
		if c, done := compareMark(&a, &b, '~'); done {
			return c
		}
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		for _, mark := range []byte("-^.") {
			if c, done := compareMark(&a, &b, mark); done {
				return c
			}
		}
		var c int
		if isDigit(first(a)) || isDigit(first(b)) {
			c = compareNumbers(&a, &b)
		} else {
			c = strings.Compare(take(&a, isLetter), take(&b, isLetter))
		}
		if c != 0 {
			return c
		}
	}
}

// skip removes what does not count at the beginning.
func skip(s string) string {
	return strings.TrimLeftFunc(s, func(r rune) bool {
		return r > 0x7f || !isDigit(byte(r)) && !isLetter(byte(r)) && !strings.ContainsRune("~-^.", r)
	})
}

// compareMark removes a mark from both. Where only one has it, that is the older.
func compareMark(a, b *string, mark byte) (int, bool) {
	inA, inB := first(*a) == mark, first(*b) == mark
	switch {
	case inA && inB:
		*a, *b = (*a)[1:], (*b)[1:]
	case inA:
		return -1, true
	case inB:
		return 1, true
	}
	return 0, false
}

// compareNumbers removes the numbers at the beginning. None is the oldest, as in
// systemd (the specification would have it count as 0).
func compareNumbers(a, b *string) int {
	x, y := take(a, isDigit), take(b, isDigit)
	if (x == "") != (y == "") {
		return cmp.Compare(len(x), len(y))
	}
	x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
	if c := cmp.Compare(len(x), len(y)); c != 0 {
		return c
	}
	return strings.Compare(x, y)
}

func take(s *string, belongs func(byte) bool) string {
	n := 0
	for n < len(*s) && belongs((*s)[n]) {
		n++
	}
	taken := (*s)[:n]
	*s = (*s)[n:]
	return taken
}

func first(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
