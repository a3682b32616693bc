package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/compare/rebuild"
	"github.com/mastercard/mangos/modules/sandbox/trace"
)

func rebuiltVerb() *cobra.Command {
	var (
		r                    rebuild.Rebuild
		build, traces, since string
	)
	c := &cobra.Command{
		Use:   "rebuilt --build NAME --trace FOLDER --since TIME --first FOLDER --second FOLDER",
		Short: "check that a second build took place, in another world, and made the same",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, p := range r.Given {
				if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
					return usageError{fmt.Errorf("--given %q is no clean absolute path", p)}
				}
			}
			var err error
			if r.Since, err = time.Parse(time.RFC3339Nano, since); err != nil {
				return usageError{fmt.Errorf("--since: %w", err)}
			}
			if r.Steps, err = trace.Load(traces, build); err != nil {
				return fmt.Errorf("rebuilt: %w", err)
			}
			return rebuilt(cmd.Context(), cmd.OutOrStdout(), &r)
		},
	}
	s := c.Flags()
	s.StringVar(&build, "build", "", "name of the second build")
	s.StringVar(&traces, "trace", "", "folder in which its steps left their traces")
	s.StringVar(&since, "since", "", "time at which the second build was asked for, RFC 3339")
	s.StringVar(&r.First, "first", "", "folder with what the first build made")
	s.StringVar(&r.Second, "second", "", "folder with what the second build made")
	s.StringArrayVar(&r.Given, "given", nil, "usual path of an input that steps of the second build are given; may be repeated")
	return require(c, "build", "trace", "since", "first", "second")
}

func rebuilt(ctx context.Context, out io.Writer, r *rebuild.Rebuild) error {
	list, err := r.Check(ctx)
	if err != nil {
		return fmt.Errorf("rebuilt: %w", err)
	}
	if _, err := io.WriteString(out, r.Summary()); err != nil {
		return fmt.Errorf("rebuilt: %w", err)
	}
	return checked(out, list)
}
