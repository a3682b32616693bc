//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
)

const startLog = `mangos: start the engine ...
mangos: start the engine: 2.4 s
mangos: settings (MANGOS_MACHINE_SETTINGS=no leaves them out): Go proxy https://proxy.example,direct
`

func TestStartTime(t *testing.T) {
	if got, err := startTime(startLog); err != nil || got != 2.4 {
		t.Errorf("%v, %v", got, err)
	}
	for name, log := range map[string]string{
		"another engine": "mangos: compile the Dagger dagger v0.19.7 (first time only): 9.1 s\n",
		"not yet there":  "mangos: start the engine ...\n",
		"started twice":  startLog + startLog,
		"somebody else":  "x mangos: start the engine: 2.4 s\n",
		"nothing":        "",
	} {
		if got, err := startTime(log); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What is taken is a time, and the log says it once.
func FuzzStartTime(f *testing.F) {
	f.Add(startLog)
	f.Add("mangos: start the engine: " + strings.Repeat("9", 400) + ".0 s\n")
	f.Fuzz(func(t *testing.T, log string) {
		log = log[:min(len(log), 64<<10)]
		seconds, err := startTime(log)
		if err != nil {
			return
		}
		if seconds < 0 || math.IsInf(seconds, 0) || math.IsNaN(seconds) {
			t.Fatalf("%v s", seconds)
		}
		if again, err := startTime(log + "\n" + log); err == nil {
			t.Fatalf("said twice, and taken: %v s", again)
		}
	})
}
