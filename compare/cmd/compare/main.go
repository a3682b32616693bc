// Command compare tells whether organisations built the same, and where and
// why they did not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/mastercard/mangos/compare/terminal"
)

// Exit codes, the same for all commands.
const (
	exitOK           = 0 // the same, or threshold met and no dissent
	exitError        = 1 // usage, input or output
	exitDiffers      = 2
	exitInconclusive = 3
	exitUnverified   = 4 // evidence that does not verify
	exitInputs       = 5 // made from different inputs: not comparable
)

// command is one verb of the program.
type command struct {
	name, args, short string
	run               func(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) (int, error)
}

// errUsage asks for the usage of a command to be printed.
var errUsage = errors.New("wrong number of arguments")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return exitError
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(stdout)
		return exitOK
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		flags := flag.NewFlagSet("compare "+c.name, flag.ContinueOnError)
		flags.SetOutput(stderr)
		flags.Usage = func() {
			fmt.Fprintf(stderr, "usage: compare %s %s\n", c.name, c.args)
			flags.PrintDefaults()
		}
		code, err := c.run(ctx, flags, args[1:], stdout)
		switch {
		case errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			flags.Usage()
			return exitError
		case err != nil:
			fmt.Fprintf(stderr, "compare: %s\n", terminal.Escape(err.Error()))
			if code == exitOK {
				code = exitError
			}
		}
		return code
	}
	fmt.Fprintf(stderr, "compare: no command %q; see compare help\n", args[0])
	return exitError
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: compare COMMAND [ARGUMENTS]\n\nCommands:")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.short)
	}
	fmt.Fprintln(w, "\nExit codes: 0 the same, or threshold met without dissent; 1 usage or input;\n"+
		"2 differs; 3 inconclusive; 4 evidence that does not verify; 5 other inputs.")
}

func commands() []command {
	return []command{explainCommand, rebuiltCommand, signedCommand}
}
