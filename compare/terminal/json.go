package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
)

// WriteJSON writes a value as indented JSON in which all that [Escape] would escape
// is an escape of JSON: a program reads the same, and a terminal obeys nothing.
func WriteJSON(w io.Writer, value any) error {
	var text, out bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", " ")
	if err := e.Encode(value); err != nil {
		return err
	}
	// Outside of strings there is nothing but ASCII that is printed as it is.
	for _, r := range text.String() {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			out.WriteRune(r)
		case utf16.RuneLen(r) == 2:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := out.WriteTo(w)
	return err
}
