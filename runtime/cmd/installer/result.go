package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"

	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/installer"
)

// result is the last line of output.
type result struct {
	// Result is "installed", "dry-run" or "failed".
	Result  string  `json:"result"`
	Name    string  `json:"name,omitempty"`
	Version string  `json:"version,omitempty"`
	Target  string  `json:"target,omitempty"`
	Serial  string  `json:"serial,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	Again   int64   `json:"fetchedAgain,omitempty"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// about notes what is installed.
func (r *result) about(j *installer.Job) {
	r.Name, r.Version, r.Target, r.Serial = j.Release.Name, j.Release.Version, j.Disk.Path, j.Disk.Serial
}

// fetched notes how much was downloaded.
func (r *result) fetched(p install.Progress) {
	if p.Stage == install.Writing {
		r.Bytes, r.Again = p.Done, p.Again
	}
}

func (r *result) print(w io.Writer) {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts and numbers
	}
	fmt.Fprintf(w, "mangos-installer: %s\n", text)
}

// after does what is wanted when all is done.
func after(then string) error {
	if then == "stop" {
		return nil
	}
	if out, err := exec.Command("systemctl", then).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %.200q", then, err, out)
	}
	return nil
}
