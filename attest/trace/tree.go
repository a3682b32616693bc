package trace

import "strings"

// Tree draws a result: under each thing what it was made from.
func (r *Result) Tree() string {
	name := r.Path
	if r.Component != "" {
		name = r.Component + ":" + name
	}
	top := &branch{text: join(name, short(r.SHA256))}
	for _, d := range []*Document{r.Document, r.Released} {
		if d.unvouched() {
			top.add("beware: no trusted statement has this " + d.Name + " as a product")
		}
	}
	for _, f := range r.Faults {
		top.add("beware: " + f)
	}
	for _, l := range r.Links {
		top.add(l.Path + " -> " + l.Target)
	}
	if r.Origin != "" {
		top.add(r.Origin)
	}
	made := top
	if p := r.Package; p != nil {
		made = top.add("package " + join(p.Name, p.Version, short(p.SHA256)))
	}
	if p := r.Program; p != nil {
		made = top.add("program " + p.Name)
		for _, m := range p.Modules {
			made.add("module " + join(m.Path, m.Version))
		}
		if p.SWHID != "" {
			made.add("source " + p.SWHID).add(p.Tree)
		}
	}
	r.Source.draw(made)
	if l := r.Locked; l != nil {
		release := made.add("locked " + join(l.Name, short(l.SHA256))).add("Release " + join(l.Suite, l.Date, short(l.Release)))
		for key := range strings.SplitSeq(l.Signed, ", ") {
			release.add("signed by " + key + l.checked())
		}
	}
	for _, b := range r.Built {
		if b.Bundle == "" {
			top.add("step " + b.Step + ": no statement")
			continue
		}
		top.add("step " + join(b.Step, b.Product)).add("built by " + b.Builder).add(b.Bundle).add("signed " + b.whose())
	}
	var out strings.Builder
	top.draw(&out, "", "")
	return out.String()
}

func (s *Source) draw(under *branch) {
	if s == nil {
		return
	}
	source := under.add("source " + join(s.Name, s.Version))
	for _, f := range s.Files {
		source.add(join(f.Name, short(f.SHA256)))
	}
	identity := source.add("identity: " + s.Level)
	if s.Commit != "" {
		identity.add("upstream commit " + s.Commit).add("proven by " + s.Proof)
	}
	if s.DebianCommit != "" {
		identity.add("Debian's (dgit) commit " + s.DebianCommit)
	}
	if s.SWHID != "" {
		identity.add(join(s.SWHID, s.Tree))
	}
	for _, d := range s.Declared {
		identity.add(d)
	}
}

// branch is a line of the drawing.
type branch struct {
	text     string
	branches []*branch
}

func (b *branch) add(text string) *branch {
	n := &branch{text: text}
	b.branches = append(b.branches, n)
	return n
}

// draw writes a branch and those under it; before is what stands before its own
// line, below what stands before the lines under it.
func (b *branch) draw(out *strings.Builder, before, below string) {
	out.WriteString(cut(before+clean(b.text), columns) + "\n")
	for i, n := range b.branches {
		if i == len(b.branches)-1 {
			n.draw(out, below+"└─ ", below+"   ")
		} else {
			n.draw(out, below+"├─ ", below+"│  ")
		}
	}
}

// join puts words together that are there.
func join(words ...string) string {
	var list []string
	for _, w := range words {
		if w != "" {
			list = append(list, w)
		}
	}
	return strings.Join(list, " ")
}
