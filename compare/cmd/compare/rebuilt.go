package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/mastercard/mangos/compare/rebuild"
	"github.com/mastercard/mangos/modules/sandbox/trace"
)

var rebuiltCommand = command{"rebuilt", "FLAGS", "whether a second build took place, in another world, and made the same", rebuilt}

func rebuilt(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) (int, error) {
	var r rebuild.Rebuild
	build := flags.String("build", "", "`NAME` of the second build")
	traces := flags.String("trace", "", "`FOLDER` in which its steps left their traces")
	flags.Func("since", "`TIME` at which the second build was asked for (RFC 3339)", func(text string) (err error) {
		r.Since, err = time.Parse(time.RFC3339Nano, text)
		return err
	})
	flags.StringVar(&r.First, "first", "", "`FOLDER` with what the first build made")
	flags.StringVar(&r.Second, "second", "", "`FOLDER` with what the second build made")
	flags.Func("given", "usual `PATH` of an input that steps of the second build are given; may be repeated", func(p string) error {
		if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
			return fmt.Errorf("%q is no clean absolute path", p)
		}
		r.Given = append(r.Given, p)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return exitError, err
	}
	if flags.NArg() != 0 || *build == "" || *traces == "" || r.Since.IsZero() || r.First == "" || r.Second == "" {
		return exitError, errUsage
	}
	var err error
	if r.Steps, err = trace.Load(*traces, *build); err != nil {
		return exitError, fmt.Errorf("rebuilt: %w", err)
	}
	list, err := r.Check(ctx)
	if err != nil {
		return exitError, fmt.Errorf("rebuilt: %w", err)
	}
	if _, err := io.WriteString(stdout, r.Summary()); err != nil {
		return exitError, fmt.Errorf("rebuilt: %w", err)
	}
	code := exitDiffers
	if list.OK() {
		code = exitOK
	}
	return code, list.Write(stdout)
}
