package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/compare/difference"
	"github.com/mastercard/mangos/compare/diffoscope"
	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/explanation"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/side"
	"github.com/mastercard/mangos/compare/terminal"
)

type explainFlags struct {
	json, all, diffoscope bool
	organisations         string
	explanation.Options
}

func explainVerb() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain [FLAGS] A B",
		Short: "say where and why two releases, artifacts or builds of which there is evidence differ",
		Long: "Says where and why A and B differ. Each is the folder of a release, an artifact,\n" +
			"or an organisation's evidence, whose manifests lead as deep as they go: its folder,\n" +
			"or an address on a web server that ends in RELEASE/ORGANISATION.\n" +
			"It stops at the first component that was made from the same and is not the same.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.Max < 1 {
				return usageError{fmt.Errorf("--max is %d; at least 1 finding must be kept", f.Max)}
			}
			return explain(cmd.Context(), cmd.OutOrStdout(), args[0], args[1], f)
		},
	}
	s := c.Flags()
	s.BoolVar(&f.json, "json", false, "print JSON")
	s.BoolVar(&f.all, "all", false, "print all findings that are kept, not 10 of each part")
	s.BoolVar(&f.First, "first", false, "stop at the first difference that is a cause")
	s.BoolVar(&f.Everything, "everything", false, "compare everything, also what follows from the culprit")
	s.IntVar(&f.Max, "max", difference.DefaultMax, "how many findings to keep")
	s.StringVar(&f.organisations, "organisations", "", "file that says whose evidence is believed, and by which keys")
	s.BoolVar(&f.diffoscope, "diffoscope", false, "let diffoscope look at the files of the first findings")
	return c
}

func explain(ctx context.Context, out io.Writer, pathA, pathB string, f explainFlags) error {
	by, err := f.reader()
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	a, err := side.OpenBy(ctx, pathA, by)
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	defer a.Close()
	b, err := side.OpenBy(ctx, pathB, by)
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	defer b.Close()
	x, err := explanation.Explain(ctx, a, b, f.Options)
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	if f.json {
		err = terminal.WriteJSON(out, x)
	} else {
		text := explanation.Text{Limit: 10}
		if f.all {
			text.Limit = 0
		}
		err = text.Write(out, x)
	}
	if err != nil {
		return err
	}
	if f.diffoscope {
		na, nb := x.Compared()
		if err := diffoscope.Run(ctx, out, na, nb, x.Findings); err != nil {
			return err
		}
	}
	return ended(explained(x))
}

// reader is by what evidence is judged, nil where any key will do.
func (f *explainFlags) reader() (*evidence.Reader, error) {
	if f.organisations == "" {
		return nil, nil
	}
	r, err := organisation.Load(f.organisations)
	if err != nil {
		return nil, err
	}
	return &evidence.Reader{Registry: r, At: time.Now()}, nil
}

// explained is the exit code of an explanation.
func explained(x *explanation.Explanation) int {
	switch {
	case x.Same() || x.OnlySigned():
		return exitOK
	case len(x.Inputs) > 0:
		return exitInputs
	}
	return exitDiffers
}
