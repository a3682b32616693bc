//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestCallIndex(t *testing.T) {
	tests := map[string]int{
		"call build-image":                     0,
		"--progress=plain call build-image":    1,
		"--progress plain call build-image":    2,
		"-v call lock --out call":              1,
		"call -m modules/debian lock":          -1,
		"-m modules/debian call lock":          -1,
		"-mmodules/debian call lock":           -1,
		"--mod=modules/debian call lock":       -1,
		"functions":                            -1,
		"core engine local-cache prune":        -1,
		"run go test ./... call":               -1,
		"":                                     -1,
		"call --mod modules/golang functions":  -1,
		"call --model":                         0,
		"-x sh call build-image export --path": 2,
	}
	for line, want := range tests {
		if got := callIndex(strings.Fields(line)); got != want {
			t.Errorf("%q: got %d, want %d", line, got, want)
		}
	}
}

func TestLockAges(t *testing.T) {
	tests := map[string]bool{
		"call test": true,
		"--progress=plain call test --checks lint":      true,
		"call --goproxy env://B --mirrors=env://A test": true,
		"call lock -o debian.lock.json":                 true,
		"call --identities mine.json test":              true,
		"call test-machines":                            false,
		"call build-image -o test":                      false,
		"call -o test build-image":                      false,
		"call -j test build-image":                      false,
		"call --version test build-image":               false,
		"call --lock=mine.json test":                    false,
		"call --lock mine.json test":                    false,
		"-m modules/debian call lock":                   false,
		"call":                                          false,
		"functions test":                                false,
	}
	for line, want := range tests {
		if got := lockAges(strings.Fields(line)); got != want {
			t.Errorf("%q: got %v, want %v", line, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	got := redact("mirrors debian=https://me:secret@m.example/debian; Go proxy https://me:secret@a.example|https://b.example/x@v1,direct")
	want := "mirrors debian=https://...@m.example/debian; Go proxy https://...@a.example|https://b.example/x@v1,direct"
	if got != want {
		t.Errorf("got %s", got)
	}
}
