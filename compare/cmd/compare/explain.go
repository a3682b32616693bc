package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/explanation"
	"github.com/mastercard/mangos/compare/release"
)

type explainFlags struct {
	json, all, first bool
	keep             int
}

func explainVerb() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain [FLAGS] A B",
		Short: "say where and why two releases or artefacts differ",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.keep < 1 {
				return usageError{fmt.Errorf("--max is %d; at least 1 finding must be kept", f.keep)}
			}
			return explain(cmd.Context(), cmd.OutOrStdout(), args[0], args[1], f)
		},
	}
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().BoolVar(&f.all, "all", false, "print all findings that are kept, not 10 of each part")
	c.Flags().BoolVar(&f.first, "first", false, "stop at the first difference that is a cause")
	c.Flags().IntVar(&f.keep, "max", difference.DefaultMax, "how many findings to keep")
	return c
}

func explain(ctx context.Context, out io.Writer, pathA, pathB string, f explainFlags) error {
	a, closeA, err := release.Open(pathA)
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	defer closeA.Close()
	b, closeB, err := release.Open(pathB)
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	defer closeB.Close()
	b.Name = a.Name
	r, err := difference.Compare(ctx, a, b, difference.Options{First: f.first, Max: f.keep})
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	code := exitDiffers
	if r.Same() || r.OnlySigned() {
		code = exitOK
	}
	if f.json {
		e := json.NewEncoder(out)
		e.SetIndent("", " ")
		if err := e.Encode(r); err != nil {
			return err
		}
		return ended(code)
	}
	limit := 10
	if f.all {
		limit = 0
	}
	if err := (explanation.Text{Limit: limit}).Write(out, pathA, pathB, r); err != nil {
		return err
	}
	return ended(code)
}
