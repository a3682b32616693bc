package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/installer"
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
	j, err := installer.Prepare(cmd.Context(), root, o.choices())
	if err != nil {
		return err
	}
	r.about(j)
	for _, line := range j.Summary() {
		fmt.Fprintln(cmd.OutOrStdout(), line)
	}
	if o.dryRun {
		r.Result = "dry-run"
		return nil
	}
	p := &printer{w: cmd.OutOrStdout()}
	err = j.Run(cmd.Context(), func(now install.Progress) {
		r.fetched(now)
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
