package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unconfined are the commands that Dagger's modules run without the sandbox, by module,
// function and the words that they begin with, and why each may.
var unconfined = map[string]string{
	"debian Lock program lock":        "fetches, and verifies by the archive's keys; apt runs in a sandbox of its own",
	"debian Identity program fetch":   "fetches, and checks against the selection",
	"debian Packages program fetch":   "fetches, and checks against the selection",
	"debian Origin program origin":    "fetches, and verifies by the archive's keys",
	"golang Toolchain sh /fetch.sh":   "fetches, and checks against the checksum database",
	"golang modules sh -euc":          "fetches, and checks against go.sum",
	"golang Build compile":            "compiles sandbox and recorder, before there are any",
	"golang Build /bin/record --step": "names what is there, and runs nothing",
	"golang Keep sh -euc":             "copies, before there is a sandbox; what is taken is held against its sums",
	"golang keepFiles sh -euc":        "copies, before there is a sandbox; what is taken is held against its sums",
	"image given /bin/record --step":  "names what is there, and runs nothing",
	"vm List vm list":                 "makes no part of an image",
	"vm run vm test":                  "makes no part of an image: boots machines",
}

// TestWiring holds each command in the source of Dagger's modules to running in the
// sandbox, below the recorder or without one, and none to keeping the network in it.
func TestWiring(t *testing.T) {
	files, err := filepath.Glob("../*/.dagger/*.go")
	if err != nil {
		t.Fatal(err)
	}
	unused := make(map[string]bool)
	for name := range unconfined {
		unused[name] = true
	}
	confined := 0
	for _, file := range files {
		if filepath.Base(file) == "dagger.gen.go" {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		module := filepath.Base(filepath.Dir(filepath.Dir(file)))
		for _, c := range commands(tree) {
			if slices.Contains(c.words, `"--keep-network"`) {
				t.Errorf("%s: a command in the sandbox keeps the network", set.Position(c.at))
			}
			if c.confined() {
				confined++
				continue
			}
			name := module + " " + c.name()
			if unconfined[name] == "" {
				t.Errorf("%s: %q runs without the sandbox: %s", set.Position(c.at), name, strings.Join(c.words, " "))
			}
			delete(unused, name)
		}
	}
	for name := range unused {
		t.Errorf("%q is excused and does not exist, or runs in the sandbox", name)
	}
	if confined == 0 {
		t.Error("no command runs in the sandbox")
	}
}

// TestWiringFinds: the ways by which a command could get around the sandbox are seen.
func TestWiringFinds(t *testing.T) {
	for body, want := range map[string]string{
		`c.WithExec([]string{sandbox, "--", program})`:                                                               "",
		`c.WithExec([]string{record, "--step", "x", "--", sandbox, "--in", "/in", "--", program})`:                   "",
		`run := []string{record, "--"}; run = append(run, sandbox, "--"); c.WithExec(append(run, command...), opts)`: "",
		`c.WithExec([]string{program, "compile"})`:                                                                   "f program compile",
		`c.WithExec([]string{record, "--step", "x", "--", program, sandbox})`:                                        "f program sandbox",
		`c.WithExec([]string{"sh", "-c", "true", "--", sandbox})`:                                                    "f sh -c",
		`c.WithExec([]string{program, "--", sandbox})`:                                                               "f program --",
		`c.WithExec(given)`: "f given...",
		`run := []string{sandbox, "--"}; run = command; c.WithExec(run)`:         "f command...",
		`a := c.WithExec([]string{sandbox, "--"}).WithExec([]string{"sh", "x"})`: "f sh x",
	} {
		tree, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() { "+body+" }", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range commands(tree) {
			if !c.confined() {
				got = append(got, c.name())
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: unconfined are %q, want %q", body, got, want)
		}
	}
}

// command is an argument of WithExec as its function puts it together: constants and
// literals as they stand there, with dots after what is not known.
type command struct {
	function string
	at       token.Pos
	words    []string
}

// recorders are the words with which a recorder is called; the last one is what a
// function that runs a step is given by those that name it.
var recorders = []string{"record", `"/bin/record"`, `"/in/bootstrap/record"`, "run..."}

// confined tells whether the command is the sandbox, or a recorder that runs it.
func (c command) confined() bool {
	if c.words[0] == "sandbox" {
		return true
	}
	at := slices.Index(c.words, `"--"`) + 1
	return slices.Contains(recorders, c.words[0]) && at > 0 && at < len(c.words) && c.words[at] == "sandbox"
}

// name is that of an excuse: the function, and the first words of what it runs.
func (c command) name() string {
	runs := c.words
	if at := slices.Index(runs, `"--"`) + 1; slices.Contains(recorders, runs[0]) && at > 0 && at < len(runs) {
		runs = runs[at:]
	}
	name := c.function
	for _, word := range runs[:min(2, len(runs))] {
		word, _, _ = strings.Cut(strings.Trim(word, `"`), "(")
		name += " " + word
	}
	return name
}

// commands returns those of a file.
func commands(file *ast.File) (list []command) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		known := map[string][]string{}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				assign(known, n)
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "WithExec" {
					list = append(list, command{f.Name.Name, s.Sel.Pos(), words(known, n.Args[0])})
				}
			}
			return true
		})
	}
	return list
}

func assign(known map[string][]string, s *ast.AssignStmt) {
	values := map[string][]string{}
	for i, left := range s.Lhs {
		if name, ok := left.(*ast.Ident); ok && len(s.Lhs) == len(s.Rhs) {
			values[name.Name] = words(known, s.Rhs[i])
		}
	}
	for name, value := range values {
		known[name] = value
	}
}

// words returns the words of a list of strings.
func words(known map[string][]string, e ast.Expr) (list []string) {
	switch e := e.(type) {
	case *ast.CompositeLit:
		for _, word := range e.Elts {
			list = append(list, types.ExprString(word))
		}
		return list
	case *ast.Ident:
		if list, ok := known[e.Name]; ok {
			return list
		}
	case *ast.CallExpr:
		if types.ExprString(e.Fun) != "append" {
			break
		}
		list = slices.Clone(words(known, e.Args[0]))
		for i, word := range e.Args[1:] {
			if e.Ellipsis.IsValid() && i == len(e.Args)-2 {
				list = append(list, words(known, word)...)
			} else {
				list = append(list, types.ExprString(word))
			}
		}
		return list
	}
	return []string{types.ExprString(e) + "..."}
}
