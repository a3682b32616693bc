package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dagger/mangos/internal/dagger"
)

// check is one check; its report ends with how many passed and failed.
type check struct {
	name string
	run  func(context.Context) (string, error)
}

// results are the reports of checks, as the program tally reads them.
type results struct{ checks []result }

type result struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Report  string  `json:"report"`
	Error   string  `json:"error"`
}

// make makes the checks of each lane one after the other, and the lanes side by side:
// many checks keep one processor busy. The reports are in the order of the arguments.
func (r *results) make(ctx context.Context, lanes ...[]check) {
	var group sync.WaitGroup
	made := make([][]result, len(lanes))
	for i, lane := range lanes {
		group.Go(func() {
			for _, c := range lane {
				made[i] = append(made[i], c.make(ctx))
			}
		})
	}
	group.Wait()
	r.checks = append(r.checks, slices.Concat(made...)...)
}

func (c check) make(ctx context.Context) result {
	began := time.Now()
	report, err := c.run(ctx)
	return result{Name: c.name, Seconds: time.Since(began).Seconds(), Report: report, Error: reason(err)}
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

// tally returns the whole report, with what the lock withholds. When a check failed the
// error is that of a step which printed it: the command line client shows that as it is,
// and fails.
func (m *Mangos) tally(ctx context.Context, r *results, note string) (string, error) {
	input, err := json.Marshal(r.checks)
	if err != nil {
		return "", fmt.Errorf("report the checks: %w", err)
	}
	return dag.Container().
		WithFile("/usr/bin/tally", m.program("tally")).
		WithMountedFile("/debian.lock.json", m.Locked).
		WithExec([]string{"/usr/bin/tally", "--lock", "/debian.lock.json", "--note", note}, dagger.ContainerWithExecOpts{Stdin: string(input)}).
		Stdout(ctx)
}
