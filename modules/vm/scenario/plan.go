package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// All are the scenarios, the longest first: so that several at a time end together.
var All = []*Scenario{
	system, corruptFile, corruptInit, corruptHash, signatureForeign, signatureMissing, programs,
	addedBySMBIOS, addOn, secureBootOff, setupMode, entry,
	eachAlone, signatureOther, emergency, plaintext,
}

// ErrUnknown says that there is no scenario of a name.
var ErrUnknown = errors.New("no such scenario")

// Select returns the scenarios that a list names, with commas between: names of scenarios,
// "short" for those of the test command, "all" for every one.
func Select(list string) ([]*Scenario, error) {
	chosen := map[*Scenario]bool{}
	for _, name := range strings.Split(list, ",") {
		found := false
		for _, s := range All {
			if name == s.Name || name == "all" || name == "short" && !s.Full {
				found, chosen[s] = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
		}
	}
	return slices.DeleteFunc(slices.Clone(All), func(s *Scenario) bool { return !chosen[s] }), nil
}

// Play runs scenarios, parallel of them at a time, and hands each row to report as soon as
// its scenario has ended, one at a time. It returns all rows in the scenarios' order.
func Play(ctx context.Context, lab *Lab, scenarios []*Scenario, parallel int, report func(Row)) []Row {
	rows := make([][]Row, len(scenarios))
	var group sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range max(parallel, 1) {
		group.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(scenarios) {
					return
				}
				rows[i] = scenarios[i].Play(ctx, lab)
				mu.Lock()
				for _, r := range rows[i] {
					report(r)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return slices.Concat(rows...)
}

// Report is the result of a run, as a file.
type Report struct {
	Release string  `json:"release"` // the disk image's name
	Accel   string  `json:"accel"`
	Seconds float64 `json:"seconds"`
	Passed  int     `json:"passed"`
	Failed  int     `json:"failed"`
	Rows    []Row   `json:"rows"`
}

// Write writes the report to path: whole, or not at all.
func (r *Report) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	temporary := path + ".part"
	if err := os.WriteFile(temporary, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
