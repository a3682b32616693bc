package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Check is the outcome of one check.
type Check struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Detail says what was found, or why the check failed.
	Detail string `json:"detail"`
}

// Report is the outcome of all.
type Report struct {
	// Release is what was verified: name and version of a release, class and name of
	// an extension.
	Release string  `json:"release"`
	Policy  string  `json:"policy"` // SHA-256 of the policy
	At      string  `json:"at"`     // when the layout had to be in force; of an extension empty
	Checks  []Check `json:"checks"`
	// NotChecked says what this verdict does not rest on, and what would be needed to
	// look at it.
	NotChecked []string `json:"notChecked"`
	// Verified tells that there was something to verify, and all passed.
	Verified bool `json:"verified"`
	// Files are the release's files by name, with their SHA-256; Attestations
	// those of them that are signed evidence: statements, links, the layout, and the
	// signature of the checksums.
	Files        map[string]string `json:"files"`
	Attestations []string          `json:"attestations"`
	Bytes        int64             `json:"bytes"` // of all files
	Seconds      float64           `json:"seconds"`
}

// ErrNotVerified: a check failed.
var ErrNotVerified = errors.New("it is not verified")

// Err is nil, or wraps [ErrNotVerified] and names the failed checks.
func (r *Report) Err() error {
	if r.Verified {
		return nil
	}
	var failed []string
	for _, c := range r.Checks {
		if !c.Passed {
			failed = append(failed, c.Name)
		}
	}
	return fmt.Errorf("%w: %s", ErrNotVerified, strings.Join(failed, ", "))
}

// Text writes one line for each check and for what was not checked, and the verdict.
func (r *Report) Text(w io.Writer) error {
	failed := 0
	for _, c := range r.Checks {
		mark := "ok  "
		if !c.Passed {
			mark = "FAIL"
			failed++
		}
		if _, err := fmt.Fprintf(w, "%s  %-20s  %s\n", mark, c.Name, strings.ReplaceAll(c.Detail, "\n", " ")); err != nil {
			return err
		}
	}
	for _, what := range r.NotChecked {
		if _, err := fmt.Fprintf(w, "not checked: %s\n", what); err != nil {
			return err
		}
	}
	verdict := fmt.Sprintf("VERIFIED: %s, %d checks, %.1f MB in %.2f s", r.Release, len(r.Checks), float64(r.Bytes)/1e6, r.Seconds)
	if !r.Verified {
		verdict = fmt.Sprintf("NOT VERIFIED: %d of %d checks failed", failed, len(r.Checks))
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}

// JSON writes the report as JSON.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
