package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/explanation"
	"github.com/mastercard/mangos/compare/release"
)

var explainCommand = command{"explain", "[FLAGS] A B", "where and why two releases or artefacts differ", explain}

func explain(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) (int, error) {
	var (
		asJSON = flags.Bool("json", false, "print JSON")
		all    = flags.Bool("all", false, "print all findings that are kept, not 10 of each part")
		first  = flags.Bool("first", false, "stop at the first difference that is a cause")
		keep   = flags.Int("max", difference.DefaultMax, "how many findings to keep")
	)
	if err := flags.Parse(args); err != nil {
		return exitError, err
	}
	if flags.NArg() != 2 || *keep < 1 {
		return exitError, errUsage
	}
	a, closeA, err := release.Open(flags.Arg(0))
	if err != nil {
		return exitError, fmt.Errorf("explain: %w", err)
	}
	defer closeA.Close()
	b, closeB, err := release.Open(flags.Arg(1))
	if err != nil {
		return exitError, fmt.Errorf("explain: %w", err)
	}
	defer closeB.Close()
	b.Name = a.Name
	r, err := difference.Compare(ctx, a, b, difference.Options{First: *first, Max: *keep})
	if err != nil {
		return exitError, fmt.Errorf("explain: %w", err)
	}
	code := exitDiffers
	if r.Same() || r.OnlySigned() {
		code = exitOK
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", " ")
		return code, e.Encode(r)
	}
	limit := 10
	if *all {
		limit = 0
	}
	return code, explanation.Text{Limit: limit}.Write(stdout, flags.Arg(0), flags.Arg(1), r)
}
