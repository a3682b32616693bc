package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/vm/machine"
	"github.com/mastercard/mangos/modules/vm/scenario"
)

func runCommand() *cobra.Command {
	var o scenario.Options
	var deadline time.Duration
	c := &cobra.Command{
		Use:   "run",
		Short: "start a release once and show its console until it ends",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if deadline < 0 {
				return errors.New("--deadline must not be negative")
			}
			ctx := c.Context()
			if deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, deadline, fmt.Errorf("%s are over", deadline))
				defer cancel()
			}
			return run(ctx, o, c.OutOrStdout())
		},
	}
	labFlags(c, &o)
	c.Flags().DurationVar(&deadline, "deadline", 0, "switch it off after so long, such as 90s; 0 waits for its end")
	return c
}

// run starts the release and copies its console to w, until the guest ends or ctx does.
func run(ctx context.Context, o scenario.Options, w io.Writer) error {
	lab, done, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer done()
	m, closeMachine, err := lab.Start(ctx)
	if err != nil {
		return err
	}
	defer closeMachine()
	for {
		select {
		case e, ok := <-m.Events():
			if !ok {
				return nil
			}
			switch e.Kind {
			case machine.Console:
				fmt.Fprintln(w, e.Text)
			case machine.Monitor:
				fmt.Fprintf(w, "-- %.1f s: %s %s\n", e.At.Seconds(), e.Text, e.Data)
				if e.Text == "SHUTDOWN" || e.Text == "GUEST_PANICKED" {
					return nil
				}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
