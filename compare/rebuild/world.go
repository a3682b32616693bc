package rebuild

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mastercard/mangos/compare/checklist"
	"github.com/mastercard/mangos/modules/sandbox/trace"
)

// day is how far two times must be apart to differ in their date.
const day = 24 * time.Hour

// property is something about a world that a second build must find changed.
type property struct {
	name string
	of   func(*trace.World) string
	// nested tells that it may be as usual where a step makes sandboxes of its
	// own, for programs that insist on being root.
	nested bool
}

var properties = []property{
	{name: "host name", of: func(w *trace.World) string { return w.Hostname }},
	{name: "user", of: func(w *trace.World) string { return w.User }, nested: true},
	{name: "login name", of: func(w *trace.World) string { return w.Login }},
	{name: "time zone", of: func(w *trace.World) string { return w.Zone }},
	// Its character set: the locked packages bring no locale that sorts or writes otherwise
	// than C does, and not what one is compiled from.
	{name: "locale", of: func(w *trace.World) string { return w.Locale }},
	{name: "umask", of: func(w *trace.World) string { return w.Umask }},
	{name: "processors", of: func(w *trace.World) string { return strconv.Itoa(w.Processors) }},
	{name: "cache and home", of: func(w *trace.World) string { return w.Home }},
}

// worlds checks that every step of the second build found another world, in every
// respect.
func (r *Rebuild) worlds(l *checklist.List) {
	if len(r.Steps) == 0 {
		return
	}
	for _, p := range properties {
		r.everywhere(l, p.name, p.nested, func(s *trace.Step) (usual, seen string, differs bool) {
			usual, seen = p.of(&s.Usual), p.of(&s.Seen)
			return usual, seen, usual != seen
		})
	}
	r.everywhere(l, "time", false, func(s *trace.Step) (usual, seen string, differs bool) {
		usual, seen = s.Usual.Time.UTC().Format(time.DateTime), s.Seen.Time.UTC().Format(time.DateTime)
		return usual, seen, s.Seen.Time.Sub(s.Usual.Time).Abs() > day
	})
	r.everywhere(l, "checkout path", false, checkout)
}

// checkout tells whether a step's inputs and results lay elsewhere.
func checkout(s *trace.Step) (usual, seen string, differs bool) {
	items := slices.Concat(s.Inputs, s.Results)
	for _, item := range items {
		usual, seen = item.Name, item.Path
		if usual == seen {
			return usual, seen, false
		}
	}
	return usual, seen, len(items) > 0
}

// everywhere adds a row for one respect in which worlds differ. With nested, steps that
// make sandboxes of their own may find it as usual, and are named.
func (r *Rebuild) everywhere(l *checklist.List, what string, nested bool, look func(*trace.Step) (usual, seen string, differs bool)) {
	var same, excused []string
	var text string
	for i := range r.Steps {
		s := &r.Steps[i]
		usual, seen, differs := look(s)
		switch {
		case differs && text == "":
			text = fmt.Sprintf("%q, the second time %q", usual, seen)
		case !differs && nested && s.Nest:
			excused = append(excused, title(s))
		case !differs:
			same = append(same, fmt.Sprintf("%s (%q)", title(s), seen))
		}
	}
	switch {
	case len(same) > 0:
		l.Fail(what, "as usual in %s", list(same))
	case text == "":
		l.Fail(what, "as usual in every step")
	case len(excused) > 0:
		l.Pass(what, "%s, in %d steps; as usual in %s", text, len(r.Steps)-len(excused), list(excused))
	default:
		l.Pass(what, "%s, in %d steps", text, len(r.Steps))
	}
}

// Summary lists the steps with the time that each took, a line for each.
func (r *Rebuild) Summary() string {
	var b strings.Builder
	for i := range r.Steps {
		s := &r.Steps[i]
		fmt.Fprintf(&b, "%s  %6.1f s  %s\n", s.Started.UTC().Format(time.TimeOnly), s.Ended.Sub(s.Started).Seconds(), title(s))
	}
	return b.String()
}
