// Package explanation shows what a comparison found, as text for a terminal
// and as JSON for programs.
package explanation

import (
	"fmt"
	"io"
	"strings"

	"github.com/mastercard/mangos/compare/cause"
	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/terminal"
)

// Text options.
type Text struct {
	// Limit is how many findings of each part are printed; 0 means all kept.
	Limit int
}

// Write prints the result for a reader: a summary, the causes, what follows
// from them, and what belongs to the signed set. All texts of the compared
// artefacts are escaped.
func (t Text) Write(w io.Writer, a, b string, r *difference.Result) error {
	p := terminal.New(w)
	p.Block("a:", 4, a)
	p.Block("b:", 4, b)
	p.Line("")
	if r.Same() {
		p.Line(p.Paint(terminal.Green, "They are the same."))
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
