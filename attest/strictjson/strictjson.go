// Package strictjson reads JSON the way evidence must be read: so that two
// readers cannot understand the same bytes differently.
//
// encoding/json lets the last of two equal keys win, takes "Payload" for
// "payload", replaces invalid UTF-8 and stops after the first value. Each of
// these lets a signed document mean one thing to one program and another to
// the next. [Check] refuses, besides what is no JSON (RFC 8259):
//
//   - two keys of one object that are equal, or equal but for upper and lower
//     case;
//   - invalid UTF-8, and escapes of lone surrogates;
//   - values nested deeper than [MaxDepth];
//   - anything after the value but white space.
//
// [Unmarshal] also refuses a key that differs from a field of the target only
// in case, wherever the target's type tells the fields.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is the greatest nesting of objects and arrays that is read.
const MaxDepth = 64

// Sentinels.
var (
	// ErrSyntax: no JSON, or JSON that readers may understand differently.
	ErrSyntax = errors.New("not strict JSON")
	// ErrDuplicate: two keys of one object are equal but for case.
	ErrDuplicate = errors.New("duplicate key")
	// ErrCase: a key differs from a known one in case only.
	ErrCase = errors.New("key in the wrong case")
	// ErrUnknown: a key is not known, and only known ones are allowed.
	ErrUnknown = errors.New("unknown key")
)

// Check reads the one value in data and refuses what the package
// documentation lists. Errors wrap [ErrSyntax] or [ErrDuplicate] and tell the
// offset in bytes.
func Check(data []byte) error {
	s := scanner{data: data}
	return s.document(nil)
}

// Unmarshal is [Check], the check of the keys against v's type ([ErrCase]),
// and json.Unmarshal into v, which keeps unknown keys out of v without
// refusing them.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, false) }

// UnmarshalKnown is [Unmarshal], but a key that v's type does not know is
// refused with [ErrUnknown].
func UnmarshalKnown(data []byte, v any) error { return unmarshal(data, v, true) }

func unmarshal(data []byte, v any, known bool) error {
	s := scanner{data: data, known: known}
	if err := s.document(shapeOf(v)); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return nil
}

// scanner walks over the bytes once, with the keys of each open object.
type scanner struct {
	data  []byte
	at    int
	depth int
	known bool
}

func (s *scanner) fail(kind error, format string, args ...any) error {
	return fmt.Errorf("%w at byte %d: %s", kind, s.at, fmt.Sprintf(format, args...))
}

// document reads the whole text.
func (s *scanner) document(sh *shape) error {
	if err := s.value(sh); err != nil {
		return err
	}
	s.space()
	if s.at < len(s.data) {
		return s.fail(ErrSyntax, "something follows the value")
	}
	return nil
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// peek returns the next byte after white space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.at == len(s.data) {
		return 0
	}
	return s.data[s.at]
}

// value reads one value of the given shape (nil: any).
func (s *scanner) value(sh *shape) error {
	switch c := s.peek(); {
	case c == '{':
		return s.nested(sh, s.object)
	case c == '[':
		return s.nested(sh, s.array)
	case c == '"':
		_, _, err := s.text()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 0 && s.at == len(s.data):
		return s.fail(ErrSyntax, "the text ends where a value is due")
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if rest := s.data[s.at:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			s.at += len(word)
			return nil
		}
	}
	return s.fail(ErrSyntax, "no value begins with %q", s.data[s.at])
}

func (s *scanner) nested(sh *shape, read func(*shape) error) error {
	if s.depth++; s.depth > MaxDepth {
		return s.fail(ErrSyntax, "nested deeper than %d", MaxDepth)
	}
	s.at++
	err := read(sh)
	s.depth--
	return err
}

func (s *scanner) object(sh *shape) error {
	var seen keySet
	if s.peek() == '}' {
		s.at++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.fail(ErrSyntax, "a key is due")
		}
		key, err := s.key()
		if err != nil {
			return err
		}
		if other, ok := seen.add(key); !ok {
			return s.fail(ErrDuplicate, "%q after %q", key, other)
		}
		field, err := s.field(sh, key)
		if err != nil {
			return err
		}
		if s.peek() != ':' {
			return s.fail(ErrSyntax, "a colon is due after key %q", key)
		}
		s.at++
		if err := s.value(field); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.at++
		case '}':
			s.at++
			return nil
		default:
			return s.fail(ErrSyntax, "a comma or the object's end is due")
		}
	}
}

// field finds the shape of an object's value under key.
func (s *scanner) field(sh *shape, key []byte) (*shape, error) {
	if sh == nil {
		return nil, nil
	}
	if sh.fields == nil {
		return sh.element, nil
	}
	if f, ok := sh.fields[string(key)]; ok {
		return f, nil
	}
	if name, ok := sh.folded[fold(string(key))]; ok {
		return nil, s.fail(ErrCase, "%q instead of %q", key, name)
	}
	if s.known {
		return nil, s.fail(ErrUnknown, "%q", key)
	}
	return nil, nil
}

func (s *scanner) array(sh *shape) error {
	var element *shape
	if sh != nil {
		element = sh.element
	}
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		if err := s.value(element); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.at++
		case ']':
			s.at++
			return nil
		default:
			return s.fail(ErrSyntax, "a comma or the array's end is due")
		}
	}
}

// key reads an object's key and returns what it stands for.
func (s *scanner) key() ([]byte, error) {
	raw, escaped, err := s.text()
	if err != nil || !escaped {
		return raw, err
	}
	var v string
	if err := json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &v); err != nil {
		return nil, s.fail(ErrSyntax, "key: %v", err)
	}
	return []byte(v), nil
}

// text reads a string and returns what stands between its quotes.
func (s *scanner) text() (raw []byte, escaped bool, err error) {
	s.at++
	start := s.at
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[start : s.at-1], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < ' ':
			return nil, false, s.fail(ErrSyntax, "control character %#02x in a string", c)
		case c < utf8.RuneSelf:
			s.at++
		default:
			r, n := utf8.DecodeRune(s.data[s.at:])
			if r == utf8.RuneError && n == 1 {
				return nil, false, s.fail(ErrSyntax, "invalid UTF-8")
			}
			s.at += n
		}
	}
	return nil, false, s.fail(ErrSyntax, "the text ends within a string")
}

// escape reads one escape, or a pair of them that make one character.
func (s *scanner) escape() error {
	if s.at+1 >= len(s.data) {
		return s.fail(ErrSyntax, "the text ends within an escape")
	}
	switch s.data[s.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return nil
	case 'u':
	default:
		return s.fail(ErrSyntax, "no escape \\%c", s.data[s.at+1])
	}
	first, ok := s.unit()
	switch {
	case !ok:
		return s.fail(ErrSyntax, "\\u without four digits")
	case first >= 0xdc00 && first < 0xe000:
		return s.fail(ErrSyntax, "lone surrogate")
	case first >= 0xd800 && first < 0xdc00:
		if second, ok := s.unit(); !ok || second < 0xdc00 || second >= 0xe000 {
			return s.fail(ErrSyntax, "lone surrogate")
		}
	}
	return nil
}

// unit reads \uXXXX.
func (s *scanner) unit() (uint32, bool) {
	if len(s.data)-s.at < 6 || s.data[s.at] != '\\' || s.data[s.at+1] != 'u' {
		return 0, false
	}
	var v uint32
	for _, c := range s.data[s.at+2 : s.at+6] {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint32(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = v<<4 | uint32(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	s.at += 6
	return v, true
}

// number reads a number by the grammar of RFC 8259, section 6.
func (s *scanner) number() error {
	digits := func() int {
		n := 0
		for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
			s.at++
			n++
		}
		return n
	}
	is := func(c byte) bool { return s.at < len(s.data) && s.data[s.at] == c }
	if is('-') {
		s.at++
	}
	zero := is('0')
	if n := digits(); n == 0 || zero && n > 1 {
		return s.fail(ErrSyntax, "malformed number")
	}
	if is('.') {
		s.at++
		if digits() == 0 {
			return s.fail(ErrSyntax, "malformed number")
		}
	}
	if is('e') || is('E') {
		s.at++
		if is('+') || is('-') {
			s.at++
		}
		if digits() == 0 {
			return s.fail(ErrSyntax, "malformed number")
		}
	}
	return nil
}
