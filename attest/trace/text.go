package trace

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Screen is the size that a result's text fits into.
const (
	columns = 80
	lines   = 25
)

// Text is a result for people: at most 25 lines of at most 80 columns. What is too
// wide ends in "…"; of what is too long, the least telling lines are left out, and
// the last line says so. The JSON form has all of it.
func (r *Result) Text() string {
	t := &text{spare: map[int]bool{}}
	t.row("", r.Asked)
	t.document(r.Document)
	t.document(r.Released)
	t.faults(r.Faults)
	for _, l := range r.Links {
		by := ""
		if l.Owner != "" {
			by = " (" + l.Owner + ")"
		}
		t.row("link", l.Path+" -> "+l.Target+by)
	}
	t.place(r)
	for i, e := range r.Elsewhere {
		if i == 2 {
			t.row("also", fmt.Sprintf("%d more places", len(r.Elsewhere)-2))
			break
		}
		t.row("also", e)
	}
	t.wrapped("origin", r.Origin, 3)
	t.pkg(r.Package)
	t.program(r.Program)
	t.source(r.Source)
	t.locked(r.Locked)
	t.built(r)
	return t.close()
}

// document says, above all that can push it off the screen, what speaks against a
// document that the result rests on, or tells of.
func (t *text) document(d *Document) {
	if d.unvouched() {
		t.row("beware", "no trusted statement has this "+d.Name+" as a product")
	}
	if d != nil && !d.Listed {
		t.row("beware", "SHA256SUMS does not list this "+d.Name)
	}
}

// maxFaults is how many faults are shown one by one.
const maxFaults = 8

// faults says what is wrong with the evidence.
func (t *text) faults(faults []string) {
	for i, f := range faults {
		if i == maxFaults-1 && len(faults) > maxFaults {
			t.row("beware", fmt.Sprintf("%d more faults", len(faults)-i))
			break
		}
		t.wrapped("beware", f, 3)
	}
}

// text is rows in the making; spare ones are those that can be left out.
type text struct {
	rows  []string
	spare map[int]bool
}

const labelWidth = 10

// row adds a line; a label that is the same as the one above is left out.
func (t *text) row(label, value string) {
	value = clean(value)
	if label == "" {
		t.rows = append(t.rows, cut(value, columns))
		return
	}
	t.rows = append(t.rows, fmt.Sprintf(" %-*s%s", labelWidth-1, label, cut(value, columns-labelWidth)))
}

// more adds a line that can be left out.
func (t *text) more(value string) {
	t.spare[len(t.rows)] = true
	t.row(" ", value)
}

// wrapped adds a text in as many lines as it needs, at most limit.
func (t *text) wrapped(label, value string, limit int) {
	words := strings.Fields(clean(value))
	for n := 0; len(words) > 0; n++ {
		line := words[0]
		words = words[1:]
		for len(words) > 0 && (utf8.RuneCountInString(line)+1+utf8.RuneCountInString(words[0]) <= columns-labelWidth-2 || n == limit-1) {
			line += " " + words[0]
			words = words[1:]
		}
		if n == 0 {
			t.row(label, line)
		} else {
			t.more(line)
		}
	}
}

func (t *text) place(r *Result) {
	switch {
	case r.Folder:
		t.row("folder", r.Path+", in "+r.Title)
	case r.Component != "" && r.Path != "":
		t.row("file", r.Path+", in "+r.Title)
	case r.Path != "":
		t.row("is", r.Path+": "+r.Title)
	default:
		t.row("is", r.Title)
	}
	if r.SHA256 != "" {
		t.row("sha256", r.SHA256)
	}
}

func (t *text) pkg(p *Package) {
	if p == nil {
		return
	}
	t.row("package", p.Name+" "+p.Version)
	t.more(p.PURL)
	licence := p.Licence
	if p.LicenceNote != "" {
		licence += ": " + p.LicenceNote
	}
	t.wrapped("licence", licence, 2)
}

func (t *text) program(p *Program) {
	if p == nil {
		return
	}
	t.row("program", p.PURL)
	t.wrapped("build", p.Build, 4)
	for i, m := range p.Modules {
		if i == 4 && len(p.Modules) > 5 {
			t.more(fmt.Sprintf("%d more modules", len(p.Modules)-i))
			break
		}
		info, _, _ := strings.Cut(m.Info, "\n")
		t.row("module", m.Path+" "+m.Version+" "+strings.TrimPrefix(info, "go.sum: "))
	}
	if p.SWHID == "" {
		t.row("source", "not identified")
		return
	}
	t.row("source", p.SWHID)
	t.wrapped(" ", p.Tree+"; attest program-source computes it in a checkout", 2)
}

func (t *text) source(s *Source) {
	if s == nil {
		return
	}
	t.row("source", s.Name+" "+s.Version)
	for i, f := range s.Files {
		if i == 3 && len(s.Files) > 4 {
			t.more(fmt.Sprintf("%d more files", len(s.Files)-i))
			break
		}
		t.more(short(f.SHA256) + "  " + f.Name)
	}
	switch {
	case s.Commit != "":
		t.row("identity", "upstream commit "+s.Commit+" proven")
		t.row(" ", "by: "+s.Proof)
	case s.DebianCommit != "":
		t.row("identity", "of Debian's history only; no upstream commit is proven")
	case s.SWHID != "":
		t.row("identity", s.Level+" only")
	default:
		t.row("identity", "version only: its tree was not identified")
	}
	if s.DebianCommit != "" {
		t.row(" ", "Debian's (dgit) commit "+s.DebianCommit)
	}
	if s.SWHID != "" {
		t.row(" ", s.SWHID)
		t.more("the tree in " + s.Tree)
	}
	for _, d := range s.Declared {
		t.more(d)
	}
}

func (t *text) locked(l *Locked) {
	if l == nil {
		return
	}
	t.row("locked", l.Name)
	t.row("sha256", l.SHA256)
	if l.Lock != "" {
		t.row("lock", l.Lock+" has the same")
	} else {
		t.row("lock", "none at hand; --lock FILE compares with one")
	}
	t.row("Release", l.Suite+" of "+l.Date+", sha256 "+short(l.Release))
	for key := range strings.SplitSeq(l.Signed, ", ") {
		t.row(" ", "signed by "+key+l.checked())
	}
}

// checked tells of the Release's signatures what the policy says, if there is one.
func (l *Locked) checked() string {
	switch l.Trust {
	case InPolicy:
		return ", checked"
	case NotInPolicy:
		return ", not trusted"
	}
	return ", " + string(NotChecked)
}

// built says who built it, or that nobody says so.
func (t *text) built(r *Result) {
	type maker struct{ builder, whose string }
	steps := map[maker][]string{}
	var order []maker
	for _, b := range r.Built {
		if b.Bundle == "" {
			continue // a fault, and said
		}
		m := maker{b.Builder, b.whose()}
		if steps[m] == nil {
			order = append(order, m)
		}
		steps[m] = append(steps[m], b.Step)
	}
	if len(order) == 0 {
		t.row("built", "no statement in the release tells of it: by whom is not known")
	}
	for _, m := range order {
		label := "built"
		for list := steps[m]; len(list) > 0; label = " " {
			n := fitting(list)
			t.row(label, strings.Join(list[:n], ", "))
			list = list[n:]
		}
		t.row(" ", "by "+m.builder)
		t.row("signed", m.whose)
	}
}

// fitting is how many of the steps fit in a row; at least one.
func fitting(steps []string) int {
	for n := len(steps); n > 1; n-- {
		if utf8.RuneCountInString(strings.Join(steps[:n], ", ")) <= columns-labelWidth {
			return n
		}
	}
	return 1
}

// whose tells who signed a statement, and what the policy says of the key.
func (b *Built) whose() string {
	switch {
	case b.Signed == "" && b.Trust == NotChecked:
		return "signatures not checked; --policy FILE tells whose they are"
	case b.Signed == "":
		return "by no key of the policy: " + string(b.Trust)
	}
	key := "by key " + short(b.Signed) + ", "
	switch {
	case b.Trust == NotChecked:
		return key + "whose it is was not checked (--policy)"
	case b.Trust == NotInPolicy:
		return key + string(b.Trust)
	case b.Organisation == "":
		return key + "which the policy trusts and does not name"
	}
	return "by " + b.Organisation + " (key " + short(b.Signed) + ", in the policy)"
}

// close returns the lines.
func (t *text) close() string {
	over := len(t.rows) - lines
	if over > 0 {
		over++ // for the line that says so
	}
	kept := t.rows[:0]
	// The last ones first: they say the least.
	drop := map[int]bool{}
	for i := len(t.rows) - 1; i >= 0 && len(drop) < over; i-- {
		if t.spare[i] {
			drop[i] = true
		}
	}
	for i, row := range t.rows {
		if !drop[i] {
			kept = append(kept, row)
		}
	}
	if len(kept) >= lines && over > 0 {
		kept = kept[:lines-1]
	}
	if over > 0 {
		kept = append(kept, " …        left out: what does not fit on a screen; see --json")
	}
	return strings.Join(kept, "\n") + "\n"
}

// short is the beginning of a digest.
func short(digest string) string {
	if len(digest) <= 16 {
		return digest
	}
	return digest[:16] + "…"
}

// cut shortens a line.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:width-1]) + "…"
}

// clean makes a text of one line, fit for a terminal: what comes from a document
// cannot make a line of its own.
func clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteByte(' ')
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
