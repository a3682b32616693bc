package main

import (
	"fmt"
	"go/token"
	"strings"

	"github.com/golangci/misspell"
	"github.com/golangci/unconvert"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/buildssa"
	"golang.org/x/tools/go/packages"
	"honnef.co/go/tools/unused"
	"mvdan.cc/unparam/check"
)

var unparamAnalyzer = &analysis.Analyzer{
	Name:     "unparam",
	Doc:      "looks for parameters and results that nothing depends on (mvdan.cc/unparam)",
	Requires: []*analysis.Analyzer{buildssa.Analyzer},
	Run: func(pass *analysis.Pass) (any, error) {
		checker := &check.Checker{}
		checker.Packages([]*packages.Package{loaded(pass)})
		checker.ProgramSSA(pass.ResultOf[buildssa.Analyzer].(*buildssa.SSA).Pkg.Prog)
		issues, err := checker.Check()
		for _, i := range issues {
			if !inTest(pass.Fset.Position(i.Pos()).Filename) {
				pass.Reportf(i.Pos(), "%s", i.Message())
			}
		}
		return nil, err
	},
}

var unconvertAnalyzer = &analysis.Analyzer{
	Name: "unconvert",
	Doc:  "looks for conversions that change nothing (github.com/mdempsky/unconvert)",
	Run: func(pass *analysis.Pass) (any, error) {
		for _, at := range unconvert.Run(pass) {
			report(pass, at.Filename, at.Line, "unnecessary conversion")
		}
		return nil, nil
	},
}

var misspellAnalyzer = &analysis.Analyzer{
	Name: "misspell",
	Doc:  "looks for misspelt words (github.com/client9/misspell)",
	Run: func(pass *analysis.Pass) (any, error) {
		words := misspell.New()
		for _, file := range pass.Files {
			name := pass.Fset.Position(file.Pos()).Filename
			text, err := pass.ReadFile(name)
			if err != nil {
				return nil, err
			}
			_, wrong := words.Replace(string(text))
			for _, w := range wrong {
				report(pass, name, w.Line, fmt.Sprintf("%q is a misspelling of %q", w.Original, w.Corrected))
			}
		}
		return nil, nil
	},
}

var unusedAnalyzer = &analysis.Analyzer{
	Name:     "unused",
	Doc:      "looks for code that nothing uses (staticcheck's U1000)",
	Requires: []*analysis.Analyzer{unused.Analyzer.Analyzer},
	Run: func(pass *analysis.Pass) (any, error) {
		for _, o := range pass.ResultOf[unused.Analyzer.Analyzer].(unused.Result).Unused {
			report(pass, o.Position.Filename, o.Position.Line, fmt.Sprintf("%s %s is unused", o.Kind, o.Name))
		}
		return nil, nil
	},
}

// loaded is the pass's package as the checkers that have a loader of their own know it.
func loaded(pass *analysis.Pass) *packages.Package {
	return &packages.Package{
		Fset: pass.Fset, Syntax: pass.Files, Types: pass.Pkg, TypesInfo: pass.TypesInfo, TypesSizes: pass.TypesSizes,
	}
}

// inTest reports whether a file is a test's: not all rules hold there.
func inTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

// report reports a finding in a line of one of the package's files.
func report(pass *analysis.Pass, file string, line int, message string) {
	pos := token.NoPos
	pass.Fset.Iterate(func(f *token.File) bool {
		if f.Name() == file && line >= 1 && line <= f.LineCount() {
			pos = f.LineStart(line)
		}
		return pos == token.NoPos
	})
	pass.Reportf(pos, "%s", message)
}
