// Package report shows a verdict as one page of HTML that needs nothing else: no
// network, no script, no other file. It works from file://, in light and dark, by
// keyboard and read aloud. What others wrote stands in it as text only: it is
// escaped for HTML, and what cannot be printed is shown as an escape.
package report

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/explanation"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/machine"
	"github.com/mastercard/mangos/compare/side"
	"github.com/mastercard/mangos/compare/terminal"
	"github.com/mastercard/mangos/compare/verdict"
)

// maxFindings bounds the findings that are shown of each explanation.
const maxFindings = 200

//go:embed report.html.tmpl
var text string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"show":      terminal.Escape,
	"short":     func(digest string) string { return digest[:min(12, len(digest))] },
	"list":      func(list []string) string { return terminal.Escape(strings.Join(list, ", ")) },
	"describe":  func(f difference.Finding) string { return terminal.Escape(explanation.Describe(f)) },
	"location":  func(f difference.Finding) string { return terminal.Escape(f.Location()) },
	"classtext": func(f difference.Finding) string { return f.Class.Text() },
}).Parse(text))

// Report is a verdict with what explains it.
type Report struct {
	Verdict *verdict.Verdict
	// Splits are the explanations of the verdict's splits, in their order.
	Splits []Split
	// Columns are the organisations whose builds are judged; Matrix has a row
	// for each artifact.
	Columns []string
	Matrix  []Group
	// Facts tell how different the agreeing machines were.
	Facts []Fact
}

// Split is where two groups part, with an explanation if manifests gave one.
type Split struct {
	verdict.Split
	Explanation *explanation.Explanation
	Findings    []difference.Finding
	More        int
	// Problem says why there is no explanation.
	Problem string
}

// Culprits are the components at which the groups part.
func (s Split) Culprits() []string {
	var names []string
	for _, o := range lineage.Culprits(s.Components) {
		names = append(names, o.Component)
	}
	return names
}

// Group is the rows of one kind.
type Group struct {
	Kind string
	// Rows need a reader's eye; Quiet are reproduced packages.
	Rows, Quiet []Row
}

// Row is an artifact.
type Row struct {
	verdict.Artifact
	Cells []Cell
}

// Cell is what one organisation has of an artifact.
type Cell struct {
	Organisation string
	// Label names the cluster: A for the one with the most votes; "" for none.
	Label string
	// Colour is the number of the cluster's colour.
	Colour int
	SHA256 string
}

// Fact compares one thing of the machines of those that agree.
type Fact struct {
	Name   string
	Values []Value
	// Differs says that they were not all the same, Unknown that somebody does
	// not tell.
	Differs, Unknown bool
}

// Value is what some machines have in common.
type Value struct {
	Text          string
	Organisations []string
}

const colours = 6

// New makes a report. Where manifests are there, they explain the splits.
func New(ctx context.Context, v *verdict.Verdict) (*Report, error) {
	r := &Report{Verdict: v}
	for _, e := range v.Evidence {
		if e.Status == verdict.Counted {
			r.Columns = append(r.Columns, e.Organisation)
		}
	}
	r.matrix()
	r.facts()
	for _, s := range v.Splits {
		split := Split{Split: s}
		if err := r.explain(ctx, &split); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			split.Problem = err.Error()
		}
		r.Splits = append(r.Splits, split)
	}
	return r, nil
}

func (r *Report) matrix() {
	for _, a := range r.Verdict.Artifacts {
		row := Row{Artifact: a}
		for _, id := range r.Columns {
			cell := Cell{Organisation: id}
			for n, c := range a.Clusters {
				if slices.Contains(c.Organisations, id) {
					cell.Label, cell.Colour, cell.SHA256 = label(n), n%colours, c.SHA256
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		n := slices.IndexFunc(r.Matrix, func(g Group) bool { return g.Kind == a.Kind })
		if n < 0 {
			r.Matrix = append(r.Matrix, Group{Kind: a.Kind})
			n = len(r.Matrix) - 1
		}
		g := &r.Matrix[n]
		if a.Kind == "package" && a.Outcome == verdict.Reproduced {
			g.Quiet = append(g.Quiet, row)
		} else {
			g.Rows = append(g.Rows, row)
		}
	}
}

// label counts A, B, ... Z, A1, B1, ...
func label(n int) string {
	s := string(rune('A' + n%26))
	if n >= 26 {
		s += fmt.Sprint(n / 26)
	}
	return s
}

// facts compares the machines of the largest group that agrees.
func (r *Report) facts() {
	agree := r.Columns
	if len(r.Verdict.Splits) > 0 {
		agree = r.Verdict.Splits[0].A
	}
	if len(agree) < 2 {
		return
	}
	var all []Fact
	for _, e := range r.Verdict.Evidence {
		if e.Machine == nil || !slices.Contains(agree, e.Organisation) {
			continue
		}
		facts := append(e.Machine.List(), day(e))
		for n, f := range facts {
			if n == len(all) {
				all = append(all, Fact{Name: f.Name})
			}
			all[n].add(f.Value, e.Organisation)
		}
	}
	r.Facts = all
}

// day is when it was built, as a fact of the machine.
func day(e verdict.Evidence) machine.Fact {
	return machine.Fact{Name: "day", Value: e.Finished[:min(len("2006-01-02"), len(e.Finished))]}
}

func (f *Fact) add(text, organisation string) {
	if text == "" {
		f.Unknown, text = true, "not told"
	}
	n := slices.IndexFunc(f.Values, func(v Value) bool { return v.Text == text })
	if n < 0 {
		f.Values = append(f.Values, Value{Text: text})
		n = len(f.Values) - 1
	}
	f.Values[n].Organisations = append(f.Values[n].Organisations, organisation)
	f.Differs = len(f.Values) > 1
}

func (r *Report) explain(ctx context.Context, s *Split) error {
	var sides [2]*side.Side
	for n, id := range []string{s.A[0], s.B[0]} {
		for _, e := range r.Verdict.Verified() {
			if e.Organisation != id {
				continue
			}
			opened, err := side.FromFolder(ctx, e.Folder)
			if err != nil {
				return err
			}
			sides[n] = opened
		}
	}
	var err error
	if s.Explanation, err = explanation.Explain(ctx, sides[0], sides[1], explanation.Options{}); err != nil {
		return err
	}
	s.Findings = s.Explanation.Findings
	if n := len(s.Findings) - maxFindings; n > 0 {
		s.Findings, s.More = s.Findings[:maxFindings], n
	}
	return nil
}

// Write writes the page.
func (r *Report) Write(w io.Writer) error {
	if err := page.Execute(w, r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
