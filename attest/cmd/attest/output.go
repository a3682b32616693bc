package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/internal/newfile"
)

// printable returns s fit for a terminal: control and invisible characters,
// which may come from a hostile file, appear as escapes. They are JSON's: within a
// string of JSON they stand for the same characters.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, "\\u%04x", unit)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// writeJSON writes v indented, for --json, and fit for a terminal.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(printer{w})
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printer passes on only what is fit for a terminal.
type printer struct{ to io.Writer }

func (p printer) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.to, printable(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// writeOutput writes a new file, which has its name only when it is complete, or to
// standard output for "-".
func writeOutput(cmd *cobra.Command, path string, text []byte) error {
	if path == "-" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	return newfile.Write(path, 0o644, text)
}
