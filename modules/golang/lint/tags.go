package main

import (
	"bytes"
	"go/build"
	"go/build/constraint"
	"maps"
	"os"
	"slices"
	"strings"
)

// tags returns the build tags that the module's files ask for, sorted: a file that only
// some runs compile is looked at, too. Those that tell platforms apart are none of them,
// and nor is one that a file wants to be absent.
func (m *module) tags() ([]string, error) {
	wanted := map[string]bool{}
	for _, file := range m.files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		header, _, _ := bytes.Cut(text, []byte("\npackage "))
		for line := range strings.Lines(string(header)) {
			if !constraint.IsGoBuild(line) {
				continue
			}
			e, err := constraint.Parse(strings.TrimSpace(line))
			if err != nil {
				return nil, err
			}
			collect(e, wanted)
		}
	}
	return slices.Sorted(maps.Keys(wanted)), nil
}

// collect adds the tags that a constraint asks for.
func collect(e constraint.Expr, wanted map[string]bool) {
	switch e := e.(type) {
	case *constraint.AndExpr:
		collect(e.X, wanted)
		collect(e.Y, wanted)
	case *constraint.OrExpr:
		collect(e.X, wanted)
		collect(e.Y, wanted)
	case *constraint.TagExpr:
		if !slices.Contains([]string{build.Default.GOOS, build.Default.GOARCH, "unix", "ignore"}, e.Tag) {
			wanted[e.Tag] = true
		}
	}
}
