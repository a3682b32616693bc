package main

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// excuse is a comment `//nolint:NAME,NAME // REASON`: it keeps the analyzers of these
// names quiet about its own line or, when nothing else stands there, the one below.
var excuse = regexp.MustCompile(`^//nolint:([a-zA-Z0-9]+(?:,[a-zA-Z0-9]+)*) // \S`)

// excusable makes an analyzer respect excuses, and pass over generated code.
func excusable(a *analysis.Analyzer) {
	run := a.Run
	a.Run = func(pass *analysis.Pass) (any, error) {
		lines := excused(pass, a.Name)
		own := *pass
		own.Report = func(d analysis.Diagnostic) {
			if at := pass.Fset.Position(d.Pos); !lines[at.Filename][at.Line] && !generated(pass, at.Filename) {
				d.Message = a.Name + ": " + strings.TrimPrefix(d.Message, a.Name+": ")
				pass.Report(d)
			}
		}
		return run(&own)
	}
}

// generated tells whether a file says of itself that it is (see `go help generate`).
func generated(pass *analysis.Pass, name string) bool {
	return slices.ContainsFunc(pass.Files, func(f *ast.File) bool {
		return pass.Fset.Position(f.FileStart).Filename == name && ast.IsGenerated(f)
	})
}

// excused returns the lines of each file about which the analyzer is to be quiet.
func excused(pass *analysis.Pass, name string) map[string]map[int]bool {
	lines := map[string]map[int]bool{}
	for _, file := range pass.Files {
		for _, group := range file.Comments {
			for _, comment := range group.List {
				m := excuse.FindStringSubmatch(comment.Text)
				if m == nil || !slices.Contains(strings.Split(m[1], ","), name) {
					continue
				}
				at := pass.Fset.Position(comment.Pos())
				if lines[at.Filename] == nil {
					lines[at.Filename] = map[int]bool{}
				}
				lines[at.Filename][at.Line+below(pass.Fset, file, comment)] = true
			}
		}
	}
	return lines
}

// below is 1 for a comment that has its line for itself, else 0.
func below(fset *token.FileSet, file *ast.File, comment *ast.Comment) int {
	line := fset.Position(comment.Pos()).Line
	alone := 1
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil || alone == 0 {
			return false
		}
		switch n.(type) {
		case *ast.Comment, *ast.CommentGroup:
			return false
		}
		first, last := fset.Position(n.Pos()).Line, fset.Position(n.End()).Line
		if n != ast.Node(file) && (first == line || last == line) {
			alone = 0
		}
		return first <= line && line <= last || n == ast.Node(file)
	})
	return alone
}
