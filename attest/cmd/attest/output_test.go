package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
)

// TestWriteJSON: no character of what is printed acts on a terminal, and the JSON says
// the same.
func TestWriteJSON(t *testing.T) {
	for _, text := range []string{"plain", "\x1b[31m", "\x7f\u009b31m", "\u202eright to left", "\U000e0041 tag", "a\nline \u2028 more", "ü – 漢 🦭"} {
		var out bytes.Buffer
		if err := writeJSON(&out, map[string]string{"name": text}); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%q: %U is printed", text, r)
			}
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != text {
			t.Errorf("%q became %q, %v", text, back["name"], err)
		}
	}
}
