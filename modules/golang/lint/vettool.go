package main

import (
	"encoding/gob"
	"encoding/json"
	"os"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/unitchecker"
)

// vetTool reports whether the go command called (see `go doc unitchecker`).
func vetTool(args []string) bool {
	for _, a := range args {
		if a == "-flags" || strings.HasPrefix(a, "-V=") || strings.HasSuffix(a, ".cfg") {
			return true
		}
	}
	return false
}

// vet does what the go command asks for, and ends the program. Of others' packages, which
// the go command has looked at first, for what is known of them where they are used, it
// learns only what is deprecated there: to look into each of their functions takes longer
// than everything else. So it does not know which of them format like Printf, never return,
// return no nil, are pure or only hand on their arguments: a wrong format for another's
// wrapper, and code behind another's function that never returns, are not found.
func vet(args []string) {
	if last := args[len(args)-1]; strings.HasSuffix(last, ".cfg") && foreign(last) {
		register(suite())
		unitchecker.Run(last, deprecations())
	}
	unitchecker.Main(suite()...)
}

// register makes known what the rules note of packages: what all of them noted of the
// standard library is read where only some of them run.
func register(rules []*analysis.Analyzer) {
	for _, rule := range rules {
		for _, fact := range rule.FactTypes {
			gob.Register(fact)
		}
		register(rule.Requires)
	}
}

// foreign reports whether a configuration of the go command is for a package that is of
// another's module, and is looked at for the sake of those that import it.
func foreign(config string) bool {
	text, err := os.ReadFile(config)
	if err != nil {
		return false // unitchecker says so
	}
	var c unitchecker.Config
	if err := json.Unmarshal(text, &c); err != nil {
		return false
	}
	domain, _, _ := strings.Cut(c.ModulePath, "/")
	return c.VetxOnly && strings.Contains(domain, ".") && !strings.HasPrefix(c.ModulePath+"/", ours)
}

// ours is what the names of the project's modules begin with; Dagger's begin without a domain.
const ours = "github.com/mastercard/mangos/"
