//go:build linux

package main

import "testing"

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
