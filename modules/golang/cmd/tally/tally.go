package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/mastercard/mangos/attest/strictjson"
)

// maxInput bounds the input.
const maxInput = 64 << 20

// check is what is known of one check.
type check struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	// Report ends with a line `N passed, N failed`.
	Report string `json:"report"`
	// Error says why the check could not be made, or not to its end.
	Error string `json:"error"`
}

var lastLine = regexp.MustCompile(`(?:^|\n)([0-9]{1,9}) passed, ([0-9]{1,9}) failed\n*$`)

// tally prints the checks in in, a JSON array, and their sum. A check with an
// error, or whose report does not end with what passed and failed, or says that
// nothing did, counts as a failure. No check at all is one, too. The notices are lines
// before the sum, the note ends it.
func tally(in io.Reader, out io.Writer, notices []string, note string) (failed bool, err error) {
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return false, fmt.Errorf("read the checks: %w", err)
	}
	if len(data) > maxInput {
		return false, fmt.Errorf("read the checks: more than %d bytes", maxInput)
	}
	var checks []check
	if err := strictjson.UnmarshalKnown(data, &checks); err != nil {
		return false, fmt.Errorf("read the checks: %w", err)
	}
	var all sum
	var text bytes.Buffer
	for _, c := range checks {
		s, body := c.sum()
		all.passed += s.passed
		all.failed += s.failed
		fmt.Fprintf(&text, "== %s: %s (%.0f s)\n%s", c.Name, s, c.Seconds, body)
	}
	if all == (sum{}) {
		all.failed = 1
		text.WriteString("FAIL nothing was checked\n")
	}
	for _, line := range notices {
		text.WriteString(line + "\n")
	}
	text.WriteString(all.String())
	if note != "" {
		text.WriteString(", " + note)
	}
	text.WriteString("\n")
	if _, err := text.WriteTo(out); err != nil {
		return false, fmt.Errorf("print the checks: %w", err)
	}
	return all.failed > 0, nil
}

// sum counts what passed and failed.
type sum struct{ passed, failed int }

func (s sum) String() string { return fmt.Sprintf("%d passed, %d failed", s.passed, s.failed) }

// sum returns what passed and failed, and the report without its last line, with
// the reason why the check failed as a whole.
func (c check) sum() (sum, string) {
	s, body, err := count(c.Report)
	if c.Error != "" {
		err = errors.New(c.Error)
	}
	if err != nil {
		s.failed++
		body += fmt.Sprintf("FAIL %s: %s\n", c.Name, strings.TrimRight(err.Error(), "\n"))
	}
	return s, body
}

// count splits the last line off a report.
func count(report string) (sum, string, error) {
	at := lastLine.FindStringSubmatchIndex(report)
	if at == nil {
		if report != "" && !strings.HasSuffix(report, "\n") {
			report += "\n"
		}
		return sum{}, report, errors.New("ended without a result")
	}
	body := report[:at[2]]
	passed, err := strconv.Atoi(report[at[2]:at[3]])
	if err != nil {
		return sum{}, body, err
	}
	failed, err := strconv.Atoi(report[at[4]:at[5]])
	if err != nil {
		return sum{}, body, err
	}
	if passed+failed == 0 {
		return sum{}, body, errors.New("nothing was checked")
	}
	return sum{passed, failed}, body, nil
}
