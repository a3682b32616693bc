package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
)

// A seed sets what flags could have set, and leaves alone where it was read from.
func FuzzSeed(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	for _, text := range []string{
		`{"source": "https://h/x", "target": "sda", "minimum": "4G", "dry-run": true}`,
		`{"seed": "x"}`, `{"root": "/x"}`, `{"minimum": "9999999999G"}`, `{"then": 1}`, `{"a": "b", "a": "c"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var o options
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.flags(flags)
		seed, root := flags.String("seed", "", ""), flags.String("root", "", "")
		if err := readSeed(path, flags); err != nil {
			return
		}
		if *seed != "" || *root != "" || o.minimum < 0 {
			t.Fatalf("%q sets %q, %q, %d", text, *seed, *root, o.minimum)
		}
	})
}
