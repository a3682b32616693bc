package main

import (
	"fmt"
	"os"

	"github.com/mgechev/revive/lint"
	"github.com/mgechev/revive/rule"
	"golang.org/x/tools/go/analysis"
)

// reviveRules are revive's default rules, with their settings.
var reviveRules = map[lint.Rule]lint.Arguments{
	&rule.BlankImportsRule{}:      nil,
	&rule.ContextAsArgumentRule{}: nil,
	&rule.ContextKeysType{}:       nil,
	&rule.DotImportsRule{}:        nil,
	&rule.EmptyBlockRule{}:        nil,
	&rule.ErrorNamingRule{}:       nil,
	&rule.ErrorReturnRule{}:       nil,
	&rule.ErrorStringsRule{}:      nil,
	&rule.ErrorfRule{}:            nil,
	// A sentinel may be described as "ErrX: what happened".
	&rule.ExportedRule{}:           {"disableChecksOnVariables"},
	&rule.IncrementDecrementRule{}: nil,
	&rule.IndentErrorFlowRule{}:    nil,
	&rule.PackageCommentsRule{}:    nil,
	&rule.RangeRule{}:              nil,
	&rule.ReceiverNamingRule{}:     nil,
	&rule.RedefinesBuiltinIDRule{}: nil,
	&rule.SuperfluousElseRule{}:    nil,
	&rule.TimeNamingRule{}:         nil,
	&rule.UnexportedReturnRule{}:   nil,
	&rule.UnreachableCodeRule{}:    nil,
	// What cobra hands to a function goes by its usual name, used or not.
	&rule.UnusedParamRule{}:     {map[string]any{"allowRegex": "^(_.*|cmd|args)$"}},
	&rule.VarDeclarationsRule{}: nil,
	&rule.VarNamingRule{}:       nil,
}

// reviveConfidence is how sure revive must be (its own default).
const reviveConfidence = 0.8

var reviveAnalyzer = &analysis.Analyzer{
	Name: "revive",
	Doc:  "looks for what readers of Go do not expect (github.com/mgechev/revive)",
	Run: func(pass *analysis.Pass) (any, error) {
		var files []string
		for _, f := range pass.Files {
			files = append(files, pass.Fset.Position(f.Pos()).Filename)
		}
		conf := lint.Config{Confidence: reviveConfidence, Rules: map[string]lint.RuleConfig{}}
		rules := make([]lint.Rule, 0, len(reviveRules))
		for r, arguments := range reviveRules {
			rules = append(rules, r)
			conf.Rules[r.Name()] = lint.RuleConfig{Arguments: arguments}
			if c, ok := r.(lint.ConfigurableRule); ok {
				if err := c.Configure(arguments); err != nil {
					return nil, fmt.Errorf("revive %s: %w", r.Name(), err)
				}
			}
		}
		linter := lint.New(os.ReadFile, 0)
		failures, err := linter.Lint([][]string{files}, rules, conf)
		if err != nil {
			return nil, err
		}
		for f := range failures {
			at := f.Position.Start
			if f.Confidence < reviveConfidence || inTest(at.Filename) && f.RuleName == (&rule.UnusedParamRule{}).Name() {
				continue
			}
			report(pass, at.Filename, at.Line, f.RuleName+": "+f.Failure)
		}
		return nil, nil
	},
}
