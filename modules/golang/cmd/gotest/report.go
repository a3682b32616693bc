package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds a line of `go test -json`; maxOutput what is kept of a test.
const (
	maxLine   = 1 << 20
	maxOutput = 64 << 10
)

// event is a line of `go test -json` (see `go doc test2json`).
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// report counts top-level tests as they end.
type report struct {
	out            io.Writer
	output         map[string]*bytes.Buffer // of what has not ended, by package and test
	bad            map[string]int           // tests that failed, by package
	passed, failed int
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string]*bytes.Buffer{}, bad: map[string]int{}}
}

// read takes the events of one run in.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewScanner(events)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read the test's events: %w: %q", err, lines.Text())
		}
		r.take(e)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the test's events: %w", err)
	}
	return nil
}

func (r *report) take(e event) {
	top, _, sub := strings.Cut(e.Test, "/")
	key := e.Package + " " + top
	switch e.Action {
	case "output":
		r.keep(key, e.Output)
	case "build-output":
		r.keep(e.ImportPath, e.Output)
	case "skip":
		// A package without tests is skipped too, and is none of them.
		if e.Test != "" && !sub {
			r.bad[e.Package]++
			r.fail(key, "SKIP", e)
		} else if sub {
			r.bad[e.Package]++
			r.failed++
			fmt.Fprintf(r.out, "SKIP %s %s\n", e.Package, e.Test)
		}
	case "pass":
		switch {
		case e.Test == "":
			fmt.Fprintf(r.out, "ok   %s (%.1f s)\n", e.Package, e.Elapsed)
		case !sub:
			r.passed++
			delete(r.output, key)
		}
	case "fail":
		switch {
		case e.Test != "" && !sub:
			r.bad[e.Package]++
			r.fail(key, "FAIL", e)
		case e.Test == "" && r.bad[e.Package] == 0:
			// It did not compile, or ended without a word of a test.
			if e.FailedBuild != "" {
				key = e.FailedBuild
			}
			r.fail(key, "FAIL", e)
		}
	}
}

func (r *report) keep(key, text string) {
	b := r.output[key]
	if b == nil {
		b = &bytes.Buffer{}
		r.output[key] = b
	}
	if b.Len() < maxOutput {
		b.WriteString(text)
	}
}

func (r *report) fail(key, word string, e event) {
	r.failed++
	fmt.Fprintf(r.out, "%s %s %s (%.1f s)\n", word, e.Package, e.Test, e.Elapsed)
	if b := r.output[key]; b != nil {
		for line := range strings.Lines(b.String()) {
			fmt.Fprint(r.out, "     ", line)
		}
		delete(r.output, key)
	}
}

// close prints the last line. A run that failed without a failed test, or that
// had no test, is a failure of its own.
func (r *report) close(failed bool) {
	if failed && r.failed == 0 || r.passed+r.failed == 0 {
		r.failed++
		fmt.Fprintln(r.out, "FAIL go test ended without a result")
	}
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
}
