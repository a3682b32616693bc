package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/issue"
	"github.com/securego/gosec/v2/rules"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/buildssa"
)

// gosecExcluded are rules of gosec that do not fit programs that people run by hand
// on files of their own.
var gosecExcluded = []string{
	"G103", // unsafe: the few system calls that need it; go vet knows its rules
	"G104", // an unchecked error: nearly all are of cleaning up after another error
	"G115", // a conversion of integers: formats consist of them; parsers check values, and are fuzzed
	"G204", // a program started by a name in a variable: never through a shell
	"G301", // a folder that others may read: what a build makes is public
	"G302", // the same, when the mode is changed
	"G304", // a file opened by a name in a variable: the caller's own
	"G306", // a file that others may read: what a build makes is public; keys have tests
}

var gosecAnalyzer = &analysis.Analyzer{
	Name:     "gosec",
	Doc:      "looks for security problems (github.com/securego/gosec)",
	Requires: []*analysis.Analyzer{buildssa.Analyzer},
	Run: func(pass *analysis.Pass) (any, error) {
		// Untold, a rule of gosec asks the go command for it at each loop.
		if err := os.Setenv("GOSECGOVERSION", pass.Pkg.GoVersion()); err != nil {
			return nil, err
		}
		conf := gosec.NewConfig()
		conf.SetGlobal(gosec.Nosec, "true") // that is: no comment of gosec's own counts
		checker := gosec.NewAnalyzer(conf, true, false, false, 1, log.New(io.Discard, "", 0))
		checker.LoadRules(rules.Generate(false, rules.NewRuleFilter(true, gosecExcluded...)).RulesInfo())
		checker.CheckRules(loaded(pass))
		issues, _, _ := checker.Report()
		deep, err := gosecSSA(pass, conf)
		if err != nil {
			return nil, err
		}
		for _, i := range append(issues, deep...) {
			if inTest(i.File) {
				continue
			}
			// A finding over several lines is at "FIRST-LAST".
			first, _, _ := strings.Cut(i.Line, "-")
			line, err := strconv.Atoi(first)
			if err != nil {
				return nil, fmt.Errorf("gosec: a problem in line %q", i.Line)
			}
			report(pass, i.File, line, fmt.Sprintf("%s: %s", i.RuleID, i.What))
		}
		return nil, nil
	},
}

// gosecSSA runs the rules of gosec that follow values.
func gosecSSA(pass *analysis.Pass, conf gosec.Config) ([]*issue.Issue, error) {
	input := &analyzers.SSAAnalyzerResult{
		Config: conf, Logger: log.New(io.Discard, "", 0), SSA: pass.ResultOf[buildssa.Analyzer].(*buildssa.SSA),
	}
	list, _ := analyzers.Generate(false, analyzers.NewAnalyzerFilter(true, gosecExcluded...)).AnalyzersInfo()
	var all []*issue.Issue
	for id, definition := range list {
		own := *pass
		own.Analyzer = definition.Create(id, definition.Description)
		own.ResultOf = map[*analysis.Analyzer]any{buildssa.Analyzer: input}
		result, err := own.Analyzer.Run(&own)
		if err != nil {
			return nil, fmt.Errorf("gosec %s: %w", id, err)
		}
		if found, ok := result.([]*issue.Issue); ok {
			all = append(all, found...)
		}
	}
	return all, nil
}
