// Package checklist collects what a check held true and what it did not, row by
// row, so that nothing is left out when the rows are counted.
package checklist

import (
	"fmt"
	"io"
	"strings"

	"github.com/mastercard/mangos/compare/terminal"
)

// Row is one thing that was checked. Its texts may hold what others wrote.
type Row struct {
	Failed bool
	What   string
	Text   string
	// Details are printable lines, from a report that escaped what needs it.
	Details string
}

// List is a check's rows. The zero value is a check that has not held anything
// true yet.
type List struct{ Rows []Row }

// Pass adds a row that holds.
func (l *List) Pass(what, format string, args ...any) {
	l.Rows = append(l.Rows, Row{What: what, Text: fmt.Sprintf(format, args...)})
}

// Fail adds a row that does not.
func (l *List) Fail(what, format string, args ...any) {
	l.Rows = append(l.Rows, Row{Failed: true, What: what, Text: fmt.Sprintf(format, args...)})
}

// Explain adds printable lines to the newest row.
func (l *List) Explain(details string) { l.Rows[len(l.Rows)-1].Details = details }

// Counts returns how many rows hold, and how many do not.
func (l *List) Counts() (passed, failed int) {
	for _, r := range l.Rows {
		if r.Failed {
			failed++
		}
	}
	return len(l.Rows) - failed, failed
}

// OK tells whether something was checked and all of it holds.
func (l *List) OK() bool {
	passed, failed := l.Counts()
	return passed > 0 && failed == 0
}

// Write prints the rows; the last line is "N passed, N failed".
func (l *List) Write(w io.Writer) error {
	p := terminal.New(w)
	for _, r := range l.Rows {
		mark := p.Paint(terminal.Green, "ok  ")
		if r.Failed {
			mark = p.Paint(terminal.Red, "FAIL")
		}
		p.Line(mark + " " + terminal.Escape(r.What+": "+r.Text))
		for line := range strings.Lines(r.Details) {
			p.Line(strings.TrimRight("       "+strings.TrimSuffix(line, "\n"), " "))
		}
	}
	passed, failed := l.Counts()
	p.Line(fmt.Sprintf("%d passed, %d failed", passed, failed))
	return p.Err()
}
