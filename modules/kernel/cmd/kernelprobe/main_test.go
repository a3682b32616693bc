package main

import (
	"slices"
	"testing"
)

func TestParseOptions(t *testing.T) {
	for line, want := range map[string]options{
		"console=ttyS0\n":           {},
		"console=ttyS0 probe.tpm\n": {tpm: true},
		"console=ttyS0 probe.tpm probe.certificate=Example Bank verity\n": {certificate: "Example Bank verity", tpm: true},
		"console=ttyS0 probe.certificate=probe.tpm\n":                     {certificate: "probe.tpm"},
	} {
		if got := parseOptions(line); got != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

// A TPM is looked for where the machine is said to have one.
func TestChecks(t *testing.T) {
	for _, there := range []bool{false, true} {
		list := checks(options{tpm: there})
		if slices.ContainsFunc(list, func(c check) bool { return c.name == "TPM" }) != there {
			t.Errorf("TPM there: %v, and looked for: %v", there, !there)
		}
	}
}
