package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/vm/machine"
	"github.com/mastercard/mangos/modules/vm/scenario"
)

// errFailed says that rows failed.
var errFailed = errors.New("rows failed")

// labFlags are the flags of all commands that start machines.
func labFlags(c *cobra.Command, o *scenario.Options) {
	f := c.Flags()
	f.StringVar(&o.Release, "release", "", "folder with the release")
	f.StringVar(&o.Keys, "keys", "", "folder with secure-boot.crt, verity.key and verity.crt (try-out keys: the test extension is signed with them)")
	f.StringVar(&o.Probe, "probe", "probe", "the static program that reports from the guest")
	f.StringVar(&o.Image, "image", "image", "the program that makes extensions")
	f.StringVar(&o.Firmware, "firmware", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "OVMF's code, built for Secure Boot")
	f.StringVar(&o.Variables, "firmware-variables", "/usr/share/OVMF/OVMF_VARS_4M.fd", "OVMF's template of variables")
	f.StringVar((*string)(&o.Accel), "accel", "", "kvm or tcg; without it kvm where that works")
	c.MarkFlagRequired("release")
	c.MarkFlagRequired("keys")
}

func testCommand() *cobra.Command {
	var (
		o        scenario.Options
		names    string
		out      string
		parallel int
	)
	c := &cobra.Command{
		Use:   "test",
		Short: "hold a release against the scenarios",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := scenario.Select(names)
			if err != nil {
				return err
			}
			if parallel < 1 {
				return errors.New("--parallel must be at least 1")
			}
			report, err := test(c.Context(), o, chosen, parallel, c.OutOrStdout())
			if err != nil {
				return err
			}
			if out != "" {
				if err := report.Write(out); err != nil {
					return err
				}
			}
			if report.Failed > 0 {
				return errFailed
			}
			return nil
		},
	}
	labFlags(c, &o)
	c.Flags().StringVar(&names, "scenarios", "short", "names with commas between, \"short\" or \"all\" (see vm list)")
	c.Flags().StringVar(&out, "json", "", "write the rows to this file, too")
	c.Flags().StringVar(&o.Logs, "logs", "", "keep the consoles of all machines in this folder")
	c.Flags().IntVar(&parallel, "parallel", 2, "machines at a time")
	c.Flags().Float64Var(&o.Patience, "patience", 1, "multiply all deadlines")
	return c
}

// test runs the scenarios and prints a line for each row, then how many passed and failed.
func test(ctx context.Context, o scenario.Options, chosen []*scenario.Scenario, parallel int, w io.Writer) (*scenario.Report, error) {
	began := time.Now()
	o.Note = func(line string) { fmt.Fprintln(w, line) }
	lab, done, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done()
	fmt.Fprintf(w, "booting %s with %s\n", filepath.Base(lab.Release.Disk), lab.Accel)
	report := &scenario.Report{Release: filepath.Base(lab.Release.Disk), Accel: string(lab.Accel)}
	report.Rows = scenario.Play(ctx, lab, chosen, parallel, func(r scenario.Row) {
		if r.Passed {
			report.Passed++
			fmt.Fprintf(w, "pass %6.1fs %s/%s\n", r.Seconds, r.Scenario, r.Name)
			return
		}
		report.Failed++
		fmt.Fprintf(w, "FAIL %6.1fs %s/%s: %s\n", r.Seconds, r.Scenario, r.Name, r.Reason)
	})
	report.Seconds = time.Since(began).Seconds()
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("stopped after %d rows: %w", len(report.Rows), err)
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", report.Passed, report.Failed)
	return report, nil
}

// open makes a lab with a folder of its own, which done removes.
func open(ctx context.Context, o scenario.Options) (*scenario.Lab, func(), error) {
	if o.Accel != "" && o.Accel != machine.KVM && o.Accel != machine.TCG {
		return nil, nil, fmt.Errorf("--accel %q: want kvm or tcg", o.Accel)
	}
	if o.Patience == 0 {
		o.Patience = 1
	}
	var err error
	if o.Work, err = os.MkdirTemp("", "mangos-vm-"); err != nil {
		return nil, nil, err
	}
	done := func() { os.RemoveAll(o.Work) }
	// QEMU keeps what a guest writes to a shared disk in a file there.
	if err := os.Setenv("TMPDIR", o.Work); err != nil {
		done()
		return nil, nil, err
	}
	lab, err := scenario.New(ctx, o)
	if err != nil {
		done()
		return nil, nil, err
	}
	return lab, done, nil
}

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "list the scenarios and their rows",
		Args:  cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			w := c.OutOrStdout()
			for _, s := range scenario.All {
				plan := "short"
				if s.Full {
					plan = "full"
				}
				fmt.Fprintf(w, "%s (%s, about %.1f min): %s\n    %s\n", s.Name, plan, s.Minutes, s.About, strings.Join(s.Rows, " "))
			}
		},
	}
}
