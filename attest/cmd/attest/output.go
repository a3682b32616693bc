package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// printable returns s fit for a terminal: control and invisible characters,
// which may come from a hostile file, appear as escapes.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// writeJSON writes v indented, for --json.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
