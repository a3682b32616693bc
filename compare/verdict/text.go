package verdict

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mastercard/mangos/compare/lineage"
	"github.com/mastercard/mangos/compare/terminal"
)

// columns of the text.
const (
	indent     = 2
	nameWidth  = 22
	stateWidth = 15
	maxListed  = 12 // packages or inputs that are listed without --all
)

// Text shows a verdict on a terminal.
type Text struct {
	// All lists everything, where otherwise the first few stand for the rest.
	All bool

	p *terminal.Printer
}

// Write shows the verdict. All foreign texts in it are escaped.
func (t Text) Write(w io.Writer, v *Verdict) error {
	t.p = terminal.New(w)
	name := v.Release
	if name == "" {
		name = "no release"
	}
	t.p.Line(t.p.Paint(terminal.Bold, terminal.Escape(name)) + ": " + t.paint(v.Outcome, strings.ToUpper(v.Outcome.Text())))
	for _, r := range v.Reasons {
		t.p.Block("", indent, r)
	}
	t.organisations(v)
	t.inputs(v)
	t.artifacts(v)
	t.splits(v)
	t.results(v)
	return t.p.Err()
}

// Text is the outcome in words.
func (o Outcome) Text() string {
	if o == OtherInputs {
		return "not comparable"
	}
	if o == Unverified {
		return "not verified"
	}
	return string(o)
}

func (t Text) paint(o Outcome, text string) string {
	style := terminal.Red
	switch o {
	case Reproduced:
		style = terminal.Green
	case Inconclusive, OtherInputs:
		style = terminal.Yellow
	}
	return t.p.Paint(style, text)
}

func (t Text) title(text string) {
	t.p.Line("")
	t.p.Line(t.p.Paint(terminal.Bold, text))
}

// row prints a name and what is said of it. The name is escaped already.
func (t Text) row(name, text string) {
	lead := strings.Repeat(" ", indent)
	width := terminal.Width - indent - nameWidth
	if len([]rune(name)) >= nameWidth {
		t.p.Line(lead + name)
		name = ""
	}
	for n, line := range terminal.Wrap(terminal.Escape(text), width) {
		if n > 0 {
			name = ""
		}
		t.p.Line(strings.TrimRight(fmt.Sprintf("%s%-*s%s", lead, nameWidth, name, line), " "))
	}
}

func (t Text) organisations(v *Verdict) {
	t.title("Organisations")
	if len(v.Evidence) == 0 {
		t.row("none", "")
	}
	for _, e := range v.Evidence {
		t.row(terminal.Escape(e.Organisation), e.sentence())
	}
}

// sentence is what a reader should know of the evidence.
func (e Evidence) sentence() string {
	switch e.Status {
	case Refused:
		return "refused: " + e.Reason
	case Ignored:
		return "ignored: " + e.Reason
	case Committed:
		return "has committed, and not revealed yet: no vote"
	}
	text := "built " + e.Finished[:len("2006-01-02")]
	if e.Status == NotComparable {
		text += " from other inputs: no vote"
	}
	switch {
	case len(e.After) == 0 && len(e.Before) > 0:
		return text + "; committed before the others revealed"
	case !e.HasCommitted:
		return text + "; did not commit: may have copied"
	case len(e.After) == 0:
		return text
	case len(e.Before) > 0:
		text += "; committed before " + strings.Join(e.Before, ", ") + " revealed"
	}
	return text + "; may have copied from " + strings.Join(e.After, ", ")
}

func (t Text) inputs(v *Verdict) {
	if len(v.Inputs) == 0 {
		return
	}
	t.title("Inputs")
	if len(v.Inputs) == 1 {
		t.row("the same for all", short(v.Inputs[0].SHA256))
		return
	}
	for n, g := range v.Inputs {
		text := strings.Join(g.Organisations, ", ")
		if n == 0 {
			text += " (these are judged)"
		}
		t.row(short(g.SHA256), text)
		for k, d := range g.Differences {
			if k == maxListed && !t.All {
				t.row("", fmt.Sprintf("… and %d more (see --all)", len(g.Differences)-k))
				break
			}
			t.row("", fmt.Sprintf("%s: %s instead of %s", d.Name, value(d.B), value(d.A)))
		}
	}
}

// value shows a digest in short, a parameter as it is.
func value(s string) string {
	if len(s) == 64 {
		return short(s)
	}
	if s == "" {
		return "none"
	}
	return s
}

func short(digest string) string { return digest[:min(12, len(digest))] }

func (t Text) artifacts(v *Verdict) {
	if len(v.Artifacts) == 0 {
		return
	}
	t.title("Artifacts")
	counts, left := map[Outcome]int{}, 0
	listed := 0
	for _, a := range v.Artifacts {
		if a.Kind != "package" {
			t.artifact(a.Name, a)
			continue
		}
		counts[a.Outcome]++
		switch {
		case a.Outcome == Reproduced && !t.All:
		case listed < maxListed || t.All:
			listed++
			t.artifact(a.Name, a)
		default:
			left++
		}
	}
	if left > 0 {
		t.row("", fmt.Sprintf("… and %d more packages (see --all)", left))
	}
	var parts []string
	for _, o := range []Outcome{Reproduced, Differs, Inconclusive} {
		if counts[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[o], o.Text()))
		}
	}
	if len(parts) > 0 {
		t.row("packages", strings.Join(parts, ", "))
	}
}

func (t Text) artifact(name string, a Artifact) {
	state := t.paint(a.Outcome, fmt.Sprintf("%-*s", stateWidth, a.Outcome.Text()))
	best := a.Clusters[0]
	text := fmt.Sprintf("%s  %d of %d", short(best.SHA256), len(best.Votes), a.Threshold)
	name = terminal.Escape(name)
	lead := strings.Repeat(" ", indent)
	if len([]rune(name)) >= nameWidth {
		t.p.Line(lead + name)
		name = ""
	}
	t.p.Line(fmt.Sprintf("%s%-*s%s%s", lead, nameWidth, name, state, text))
	if a.Reason != "" && a.Reason != tooFew(len(best.Votes), a.Threshold) {
		t.row("", a.Reason)
	}
	if len(a.Clusters) == 1 {
		return
	}
	for _, c := range a.Clusters {
		t.row("", short(c.SHA256)+"  "+strings.Join(c.Organisations, ", "))
	}
}

func (t Text) splits(v *Verdict) {
	if len(v.Splits) == 0 {
		return
	}
	t.title("Where they part")
	for _, s := range v.Splits {
		t.p.Block("", indent, strings.Join(s.A, ", ")+" | "+strings.Join(s.B, ", "))
		for _, c := range s.Components {
			t.row(string(c.State)+" "+terminal.Escape(c.Component), outcomeText(c))
		}
		if a, b := v.place(s.A[0]), v.place(s.B[0]); a != "" && b != "" {
			t.p.Line("  For more: compare explain \\")
			t.p.Line("      " + terminal.Escape(a) + " \\")
			t.p.Line("      " + terminal.Escape(b))
		}
	}
}

func outcomeText(o lineage.Outcome) string {
	switch o.State {
	case lineage.Culprit:
		return "made from the same; other: " + names(o.Products)
	case lineage.OneSide:
		return "only one side has it"
	}
	return "other: " + names(o.Products) + "; from other: " + names(o.Materials)
}

// names lists some names: artifacts first, and not each of many packages.
func names(list []string) string {
	const few = 6
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(x, y string) int {
		return strings.Count(x, "/") - strings.Count(y, "/")
	})
	if len(sorted) > few {
		return strings.Join(sorted[:few], ", ") + fmt.Sprintf(" and %d more", len(sorted)-few)
	}
	return strings.Join(sorted, ", ")
}

func (v *Verdict) place(organisation string) string {
	for _, e := range v.Evidence {
		if e.Organisation == organisation && e.Status == Counted {
			return e.Place
		}
	}
	return ""
}

func (t Text) results(v *Verdict) {
	if len(v.Results) == 0 {
		return
	}
	t.title("Signed results")
	for _, r := range v.Results {
		text := map[Outcome]string{
			Reproduced: "reproduced ", Differs: "got something else than ", OtherInputs: "used other inputs than ",
		}[r.Verdict] + r.Of
		if r.Verdict == Differs {
			text += ": " + names(r.Differs)
		}
		if !r.Current {
			text += " (an earlier build)"
		}
		t.row(terminal.Escape(r.By), text)
	}
}
