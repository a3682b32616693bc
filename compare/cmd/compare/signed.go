package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/mastercard/mangos/compare/boundary"
)

var signedCommand = command{"signed", "FLAGS ORGANISATION ORGANISATION...", "whether what organisations signed differs only where it is declared", signed}

func signed(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) (int, error) {
	var folders []string
	flags.Func("set", "`FOLDER` with files of the unsigned set; may be repeated", func(folder string) error {
		folders = append(folders, folder)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return exitError, err
	}
	if flags.NArg() < 2 || len(folders) == 0 {
		return exitError, errUsage
	}
	set, err := boundary.Open(folders...)
	if err != nil {
		return exitError, fmt.Errorf("signed: %w", err)
	}
	list, err := set.Check(ctx, flags.Args()...)
	if err != nil {
		return exitError, fmt.Errorf("signed: %w", err)
	}
	code := exitDiffers
	if list.OK() {
		code = exitOK
	}
	return code, list.Write(stdout)
}
