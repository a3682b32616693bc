//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
)

// measureEngine ends the engine, and has the next call start it. What runs in the
// engine ends with it.
func measureEngine(ctx context.Context, b *bench) ([]figure, error) {
	if err := b.reset(ctx); err != nil {
		return nil, err
	}
	// Whatever is to be compiled is there afterwards.
	if _, err := b.call(ctx, "version"); err != nil {
		return nil, err
	}
	start := figure{Name: "engine start", Unit: "s", Budget: 5}
	for range b.runs {
		dagger := filepath.Join(b.tree, "ci/dagger")
		if _, err := command(ctx, b.tree, dagger, "engine", "stop"); err != nil {
			return nil, err
		}
		_, log, err := output(ctx, b.tree, dagger, "version")
		if err != nil {
			return nil, err
		}
		seconds, err := startTime(log)
		if err != nil {
			return nil, err
		}
		start.Values = append(start.Values, seconds)
	}
	return []figure{start}, nil
}

// started is what ci/dagger says when the engine answers.
var started = regexp.MustCompile(`(?m)^mangos: start the engine: ([0-9]+\.[0-9]) s$`)

// startTime finds in the messages of a call of ci/dagger how long the engine took to
// start.
func startTime(log string) (float64, error) {
	found := started.FindAllStringSubmatch(log, -1)
	if len(found) != 1 {
		return 0, errors.New("the call started no embedded engine: is there a container runtime, or an engine in _EXPERIMENTAL_DAGGER_RUNNER_HOST?")
	}
	seconds, err := strconv.ParseFloat(found[0][1], 64)
	if err != nil {
		return 0, fmt.Errorf("time of the engine's start: %w", err)
	}
	return seconds, nil
}
