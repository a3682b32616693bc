package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"dagger/mangos/internal/dagger"
)

// results are the reports of checks, as the program tally reads them.
type results struct{ checks []result }

type result struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Report  string  `json:"report"`
	Error   string  `json:"error"`
}

// check runs a check, whose report ends with how many passed and failed.
func (r *results) check(ctx context.Context, name string, run func(context.Context) (string, error)) {
	began := time.Now()
	report, err := run(ctx)
	r.checks = append(r.checks, result{
		Name: name, Seconds: time.Since(began).Seconds(), Report: report, Error: reason(err),
	})
}

// reason tells an error, with what a failed step had to say.
func reason(err error) string {
	if err == nil {
		return ""
	}
	var step *dagger.ExecError
	if !errors.As(err, &step) {
		return err.Error()
	}
	return strings.Join([]string{err.Error(), strings.Join(step.Cmd, " "), step.Stdout, step.Stderr}, "\n")
}

// tally returns the whole report. When a check failed the error is that of a step
// which printed it: the command line client shows that as it is, and fails.
func (m *Mangos) tally(ctx context.Context, r *results, note string) (string, error) {
	input, err := json.Marshal(r.checks)
	if err != nil {
		return "", fmt.Errorf("report the checks: %w", err)
	}
	return dag.Container().
		WithFile("/usr/bin/tally", m.program("tally")).
		WithExec([]string{"/usr/bin/tally", "--note", note}, dagger.ContainerWithExecOpts{Stdin: string(input)}).
		Stdout(ctx)
}
