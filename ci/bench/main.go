//go:build linux

// Bench measures how long the pipeline takes for what people change, and prints
// the median and the range of each figure beside its budget, with the machine that
// gave it. Each measurement is a whole call of ci/dagger, in a clone of the
// checkout's HEAD, against the engine that ci/dagger uses.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `usage: go run -C ci/bench . [flags] [case ...]

Measures the cases, all of them when none is named:

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	runs := flags.Int("runs", 3, "measurements of each case")
	repo := flags.String("repo", "../..", "the checkout that is measured, as it is at HEAD")
	report := flags.String("json", "", "write the figures to this file, too")
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		for _, c := range cases {
			fmt.Fprintf(os.Stderr, "  %-17s %s\n", c.name, c.about)
		}
		fmt.Fprintln(os.Stderr, "\nflags:")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *runs < 1 {
		return errors.New("--runs must be at least 1")
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		return err
	}
	b, err := prepare(ctx, *repo, *runs)
	if err != nil {
		return err
	}
	defer b.close()
	m, err := describe()
	if err != nil {
		return err
	}
	fmt.Println(m)
	result := result{Machine: m, Commit: b.commit}
	over := 0
	for _, c := range chosen {
		figures, err := c.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for _, f := range figures {
			fmt.Println(f)
			if f.over() {
				over++
			}
		}
		result.Figures = append(result.Figures, figures...)
	}
	if *report != "" {
		text, err := json.MarshalIndent(result, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(*report, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if over > 0 {
		return fmt.Errorf("%d figures are over their budgets", over)
	}
	return nil
}

// choose returns the cases of these names, in the order in which they are measured.
func choose(names []string) ([]benchmark, error) {
	if len(names) == 0 {
		return cases, nil
	}
	var chosen []benchmark
	for _, c := range cases {
		for i, n := range names {
			if n == c.name {
				chosen = append(chosen, c)
				names = append(names[:i:i], names[i+1:]...)
				break
			}
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("no such case: %s", strings.Join(names, " "))
	}
	return chosen, nil
}
