// Package scenario boots releases, as they are and after an attacker has been at them, and
// says of each of its rows whether the system behaved as it must.
package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Row is one thing that was shown, or not.
type Row struct {
	Scenario string  `json:"scenario"`
	Name     string  `json:"row"`
	Passed   bool    `json:"passed"`
	Reason   string  `json:"reason,omitempty"` // why it did not pass
	Seconds  float64 `json:"seconds"`          // from the scenario's beginning to the row's verdict
}

// Scenario is a sequence of boots that decides some rows.
type Scenario struct {
	Name string
	// About says in a sentence what is done and what must happen.
	About string
	// Rows are all rows that it decides. One that it does not come to has failed.
	Rows []string
	// Minutes is how long it takes with emulation on two idle processors.
	Minutes float64
	// Full marks what is left out of the short plan.
	Full bool

	run func(context.Context, *Trial) error
}

// Trial is one run of a scenario.
type Trial struct {
	Lab      *Lab
	Scenario *Scenario

	began time.Time
	mu    sync.Mutex
	rows  map[string]*Row
	runs  int
}

// Expect decides, or goes on deciding, a row: it has passed when everything that was
// expected of it held, and something was.
func (t *Trial) Expect(row string, ok bool, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.Scenario.Rows, row) {
		panic(fmt.Sprintf("scenario %s has no row %q", t.Scenario.Name, row))
	}
	r := t.rows[row]
	if r == nil {
		r = &Row{Scenario: t.Scenario.Name, Name: row, Passed: true}
		t.rows[row] = r
	}
	r.Seconds = time.Since(t.began).Seconds()
	if ok {
		return
	}
	r.Passed = false
	r.Reason = joinReasons(r.Reason, fmt.Sprintf(format, args...))
}

// maxReason bounds a reason, in characters.
const maxReason = 4000

// printable takes out what a guest could send to the terminal, and what is too much.
func printable(s string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxReason || r != ' ' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\n", " "))
}

// ExpectEnding wants the machine to have ended so.
func (t *Trial) ExpectEnding(row string, r *Run, want Ending) bool {
	t.Expect(row, r.Ending == want, "%s, but should: %s", r, want)
	return r.Ending == want
}

// Play runs the scenario in the lab and returns its rows, in the order it lists them.
func (s *Scenario) Play(ctx context.Context, lab *Lab) []Row {
	t := &Trial{Lab: lab, Scenario: s, began: time.Now(), rows: map[string]*Row{}}
	t.stage(s.Rows, func() error { return s.run(ctx, t) })
	var rows []Row
	for _, name := range s.Rows {
		r := t.rows[name]
		if r == nil {
			t.Expect(name, false, "the scenario did not come to it")
			r = t.rows[name]
		}
		rows = append(rows, *r)
	}
	return rows
}

// stage does a part of the scenario that decides rows. An error fails them all: what was
// seen before it may be half of what was to be seen. It is told in full once.
func (t *Trial) stage(rows []string, do func() error) {
	err := do()
	if err == nil {
		return
	}
	for i, row := range rows {
		if i == 0 {
			t.Expect(row, false, "%v", err)
		} else {
			t.Expect(row, false, "see %s", rows[0])
		}
	}
}

func joinReasons(a, b string) string {
	if a != "" {
		a += "; "
	}
	return printable(a + b)
}
