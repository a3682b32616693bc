package main

import (
	"github.com/polyfloyd/go-errorlint/errorlint"
	"github.com/ultraware/whitespace"
	"golang.org/x/tools/go/analysis"
	"honnef.co/go/tools/analysis/lint"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
)

// suite returns the rules, besides those of `go vet`.
func suite() []*analysis.Analyzer {
	list := []*analysis.Analyzer{
		errorlint.NewAnalyzer(),
		gosecAnalyzer,
		misspellAnalyzer,
		reviveAnalyzer,
		unconvertAnalyzer,
		unparamAnalyzer,
		unusedAnalyzer,
		whitespace.NewAnalyzer(nil),
	}
	for _, checks := range [][]*lint.Analyzer{staticcheck.Analyzers, simple.Analyzers, stylecheck.Analyzers} {
		for _, c := range checks {
			if !c.Doc.NonDefault {
				list = append(list, c.Analyzer)
			}
		}
	}
	for _, a := range list {
		excusable(a)
	}
	return list
}

// deprecations returns the rules that need to know what is deprecated elsewhere.
func deprecations() (list []*analysis.Analyzer) {
	for _, c := range staticcheck.Analyzers {
		if c.Analyzer.Name == "SA1019" {
			list = append(list, c.Analyzer)
		}
	}
	return list
}
