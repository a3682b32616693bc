// Package explanation says where and why two builds differ. It looks for the
// component at which they part, compares what that made, and shows what it found
// as text for a terminal and as JSON for programs.
package explanation

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/terminal"
)

// Text options.
type Text struct {
	// Limit is how many findings of each part are printed; 0 means all kept.
	Limit int
}

// Write prints the explanation for a reader: the component at which the two part,
// a summary, the causes, what follows from them, and what belongs to the signed
// set. All texts of what was compared are escaped.
func (t Text) Write(w io.Writer, x *Explanation) error {
	p := terminal.New(w)
	p.Block("a:", 4, x.A)
	p.Block("b:", 4, x.B)
	p.Line("")
	t.inputs(p, x)
	t.components(p, x)
	for _, n := range x.Notes {
		p.Block("", 0, "Note: "+n+".")
	}
	r := x.Result
	switch {
	case x.Same():
		p.Line(p.Paint(terminal.Green, "They are the same."))
		return p.Err()
	case r.Same():
		p.Line("Nothing of what both sides show of it differs.")
		return p.Err()
	}
	parts := split(r)
	p.Block("", 0, summary(r, parts))
	t.section(p, "", parts.causes)
	t.section(p, "Follows from the above:", parts.derived)
	t.section(p, "Belongs to what each organisation signs (no dissent):", parts.signed)
	if r.Stopped {
		p.Line("")
		p.Line("Stopped at the first difference.")
	}
	return p.Err()
}

// inputs tells that the two were not made from the same.
func (t Text) inputs(p *terminal.Printer, x *Explanation) {
	if len(x.Inputs) == 0 {
		return
	}
	p.Line(p.Paint(terminal.Yellow, "They were made from other inputs:"))
	for n, d := range x.Inputs {
		if t.Limit > 0 && n == t.Limit {
			p.Line(fmt.Sprintf("  … and %d more (see --all, --json)", len(x.Inputs)-n))
			break
		}
		p.Block("", 2, fmt.Sprintf("%s: %s and %s", d.Name, value(d.A), value(d.B)))
	}
	p.Line("")
}

// value shows a digest in short, and a parameter as it is.
func value(s string) string {
	if len(s) == 64 {
		s = s[:12]
	}
	return orNone(s)
}

// components tells at which components the two part.
func (t Text) components(p *terminal.Printer, x *Explanation) {
	var follow []string
	for _, c := range x.Components {
		name := terminal.Escape(c.Component)
		switch c.State {
		case lineage.Culprit:
			p.Line(p.Paint(terminal.Red, "Culprit: "+name) + ": made from the same materials, and yet not the same")
		case lineage.OneSide:
			p.Line(name + ": only one side has it")
		default:
			follow = append(follow, c.Component)
		}
	}
	if len(follow) > 0 {
		p.Block("", 0, "Made from other materials, and not the same: "+strings.Join(follow, ", "))
	}
	if len(x.Components) > 0 {
		p.Line("")
	}
	t.steps(p, x)
}

// steps tells at which steps of the pipeline the two part.
func (t Text) steps(p *terminal.Printer, x *Explanation) {
	begins := func(o lineage.Outcome) bool { return o.State != lineage.Follows }
	if !slices.ContainsFunc(x.Steps, begins) && len(x.Choices) == 0 {
		return
	}
	follow := 0
	for _, s := range x.Steps {
		switch s.State {
		case lineage.Culprit:
			p.Block("", 0, "Culprit step: "+s.Component+": "+t.names(s.Products)+" made from the same")
		case lineage.Input:
			p.Block("", 0, "Other inputs: "+s.Component+": "+t.names(s.Products))
		case lineage.OneSide:
			p.Block("", 0, "Step "+s.Component+": only one side has it")
		default:
			follow++
		}
	}
	for _, c := range x.Choices {
		t.choice(p, c)
	}
	if follow > 0 {
		p.Line(fmt.Sprintf("Steps that had other materials, and made something else: %d", follow))
	}
	p.Line("(by the attestations of both, whose signatures attest verify checks)")
	p.Line("")
}

// choice shows what a step was told in the one release and not in the other: a word
// of a command stands for itself.
func (t Text) choice(p *terminal.Printer, c Choice) {
	p.Block("", 0, "Culprit step: "+c.Step+": was told something else: "+c.Name)
	a, b := strings.Fields(c.A), strings.Fields(c.B)
	onlyA, onlyB := without(a, b), without(b, a)
	if len(onlyA)+len(onlyB) == 0 {
		p.Line("  the same words, in another order or number")
		return
	}
	p.Block("  a", 4, orNone(t.names(onlyA)))
	p.Block("  b", 4, orNone(t.names(onlyB)))
}

// without is those of a list that another one lacks.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// maxNames is how many names of a list are printed.
const maxNames = 5

// names is a list of names, the first ones of a long one.
func (t Text) names(list []string) string {
	if more := len(list) - maxNames; t.Limit > 0 && more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNames], ", "), more)
	}
	return strings.Join(list, ", ")
}

// sections of the output.
type sections struct {
	causes, derived, signed []difference.Finding
	hidden                  map[string]int // files of a package that is named already
}

func split(r *difference.Result) sections {
	s := sections{hidden: map[string]int{}}
	named := map[string]bool{}
	for _, f := range r.Findings {
		isPackage := strings.HasPrefix(f.What, "package ") && f.Class == cause.Version
		switch {
		case f.Signed:
			s.signed = append(s.signed, f)
		case f.Class == cause.Derived && len(s.causes) > 0:
			s.derived = append(s.derived, f)
		case isPackage:
			named[f.Owner.Package] = true
			s.causes = append(s.causes, f)
		case f.Class == cause.Version && f.Owner != nil && named[f.Owner.Package]:
			s.hidden[f.Owner.Package]++
		default:
			s.causes = append(s.causes, f)
		}
	}
	return s
}

func summary(r *difference.Result, s sections) string {
	count := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	if r.OnlySigned() {
		return "They differ only in what each organisation signs: " + count(len(s.signed), "difference", "differences") + ". No dissent."
	}
	parts := []string{count(len(s.causes), "cause", "causes")}
	if len(s.derived) > 0 {
		parts = append(parts, count(len(s.derived), "consequence", "consequences"))
	}
	if len(s.signed) > 0 {
		parts = append(parts, count(len(s.signed), "difference", "differences")+" of what is signed")
	}
	text := "They differ: " + strings.Join(parts, ", ") + "."
	if r.Total > len(r.Findings) {
		text += fmt.Sprintf(" %d differences in all, the most telling %d are kept.", r.Total, len(r.Findings))
	}
	return text
}

func (t Text) section(p *terminal.Printer, title string, list []difference.Finding) {
	if len(list) == 0 {
		return
	}
	p.Line("")
	if title != "" {
		p.Line(title)
	}
	for n, f := range list {
		if t.Limit > 0 && n == t.Limit {
			p.Line(fmt.Sprintf("  … and %d more (see --all, --json)", len(list)-n))
			return
		}
		t.finding(p, f)
	}
}

const indent = 14

func (t Text) finding(p *terminal.Printer, f difference.Finding) {
	label := fmt.Sprintf("%-*s", indent, string(f.Class))
	lines := terminal.Wrap(terminal.Escape(f.Location()), terminal.Width-indent)
	for n, line := range lines {
		lead := strings.Repeat(" ", indent)
		if n == 0 {
			lead = p.Paint(terminal.Bold, label)
		}
		p.Line(lead + line)
	}
	if text := Describe(f); text != "" {
		p.Block("", indent, text)
	}
	if f.A != "" || f.B != "" {
		p.Block(strings.Repeat(" ", indent)+"a", indent+2, f.A)
		p.Block(strings.Repeat(" ", indent)+"b", indent+2, f.B)
	}
	if f.Owner != nil && !strings.HasPrefix(f.What, "package ") {
		p.Block("", indent, ownerText(f.Owner))
	}
	if f.Needs != "" {
		p.Block("", indent, "to go deeper, needs "+f.Needs)
	}
}

// Describe is one sentence about a finding, unescaped.
func Describe(f difference.Finding) string {
	var parts []string
	switch {
	case f.Class == cause.OneSide || f.Only != "":
		parts = append(parts, "only in "+f.Only)
	case f.What != "":
		parts = append(parts, f.What)
	}
	switch {
	case f.Class == cause.Order || f.Only != "":
	case f.Lines && f.Changed > 1:
		parts = append(parts, fmt.Sprintf("%d lines differ", f.Changed))
	case !f.Lines && len(f.Ranges) > 0:
		text := fmt.Sprintf("%d bytes at %#x", f.Changed, f.Ranges[0].Offset)
		if f.Changed == 1 {
			text = fmt.Sprintf("1 byte at %#x", f.Ranges[0].Offset)
		}
		if len(f.Ranges) > 1 {
			text = fmt.Sprintf("%d bytes, from %#x on", f.Changed, f.Ranges[0].Offset)
		}
		parts = append(parts, text)
	}
	if f.Note != "" {
		parts = append(parts, f.Note)
	}
	return strings.Join(parts, "; ")
}

func ownerText(o *difference.Owner) string {
	v := o.VersionA
	if o.VersionA != o.VersionB {
		v = fmt.Sprintf("%s and %s", orNone(o.VersionA), orNone(o.VersionB))
	}
	text := "package " + o.Package + " " + v
	if o.Source != o.Package {
		text += ", source " + o.Source
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
