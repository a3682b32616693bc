package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/install"
)

func installCommand(root *string) *cobra.Command {
	var o options
	var seed string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install a release; the last line of output is the result, JSON",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := result{Result: "failed"}
			begin := time.Now()
			err := installRelease(cmd, *root, seed, &o, &r)
			r.Seconds = time.Since(begin).Round(time.Millisecond).Seconds()
			if err != nil {
				r.Error = err.Error()
			}
			r.print(cmd.OutOrStdout())
			if err != nil {
				return errReported
			}
			return after(o.then)
		},
	}
	o.flags(cmd.Flags())
	cmd.Flags().StringVar(&seed, "seed", "", "file with the settings: a JSON object with the names of the flags")
	return cmd
}

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

func (r *result) print(w io.Writer) {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts and numbers
	}
	fmt.Fprintf(w, "mangos-installer: %s\n", text)
}

func installRelease(cmd *cobra.Command, root, seed string, o *options, r *result) error {
	if seed != "" {
		if err := readSeed(seed, cmd.Flags()); err != nil {
			return err
		}
	}
	if err := o.check(); err != nil {
		return err
	}
	r.Target = o.target
	j, err := prepare(cmd.Context(), root, o)
	if err != nil {
		return err
	}
	r.Name, r.Version, r.Target, r.Serial = j.release.Name, j.release.Version, j.disk.Path, j.disk.Serial
	j.summary(cmd.OutOrStdout())
	if o.dryRun {
		r.Result = "dry-run"
		return nil
	}
	p := &printer{w: cmd.OutOrStdout()}
	err = j.run(cmd.Context(), func(now install.Progress) {
		if now.Stage == install.Writing {
			r.Bytes, r.Again = now.Done, now.Again
		}
		p.tell(now)
	})
	if err != nil {
		return err
	}
	r.Result = "installed"
	return nil
}

// printer prints a line for each tenth of a stage: for consoles that only scroll.
type printer struct {
	w     io.Writer
	stage install.Stage
	tenth int64
}

func (p *printer) tell(now install.Progress) {
	tenth := int64(0)
	if now.Total > 0 {
		tenth = now.Done * 10 / now.Total
	}
	if now.Stage == install.Done || now.Stage == p.stage && tenth == p.tenth {
		return
	}
	p.stage, p.tenth = now.Stage, tenth
	fmt.Fprintf(p.w, "%s: %d %%\n", now.Stage, tenth*10)
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
