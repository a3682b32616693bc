// Command image makes images of the device out of file system trees, a kernel
// and keys, one step at a time. See modules/image/README.md.
//
// Every step is a function of its arguments: the same inputs give the same
// bytes, except where a signing tool stores the time. Results go to the files
// that the arguments name, and get these names only when they are complete;
// messages go to standard error. The exit code is 0 when all was well, 1 when
// something was not, and 2 when the command line was wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/modules/image/tool"
)

func main() { os.Exit(run()) }

// run executes the command line and returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command := newRoot()
	err := command.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "image: %s; see image --help\n", tool.Printable(err.Error()))
		return 2
	}
	fmt.Fprintf(os.Stderr, "image: %s\n", tool.Printable(err.Error()))
	return 1
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "image",
		Short:         "images of the device, step by step",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown step %q", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return usagef("no step given") },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		rootStep(), verityStep(), initrdStep(), microcodeStep(), unsignedStep(),
		signVerityStep(), signProgramStep(), signImageStep(), signSumsStep(), predictStep(),
		exportDigestsStep(), attachSignaturesStep(),
		diskStep(), splitStep(), sumsStep(), extensionStep(), planStep(), namesStep(), normalStep(),
	)
	return root
}

// step makes a command without positional arguments. When it is done it says
// how long that took.
func step(use, short string, work func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unexpected argument %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			start := time.Now()
			if err := work(c.Context()); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "image: %s took %.1f s\n", c.Name(), time.Since(start).Seconds())
			return nil
		},
	}
}

// require names the flags that must have a value.
func require(c *cobra.Command, names ...string) *cobra.Command {
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, name := range names {
			if f := c.Flag(name); f.Value.String() == "" || f.Value.String() == "[]" {
				return usagef("--%s is not given", name)
			}
		}
		return run(c, args)
	}
	return c
}

// epochFlag adds --epoch, whose default is the environment's
// SOURCE_DATE_EPOCH. The function returns its value.
func epochFlag(c *cobra.Command) func() (int64, error) {
	text := c.Flags().String("epoch", os.Getenv("SOURCE_DATE_EPOCH"), "time of everything in the result, seconds since 1970 (default $SOURCE_DATE_EPOCH)")
	return func() (int64, error) {
		n, err := strconv.ParseInt(*text, 10, 64)
		if err != nil || n <= 0 || n > 1<<32 {
			return 0, usagef("--epoch or SOURCE_DATE_EPOCH is %q, want seconds since 1970", *text)
		}
		return n, nil
	}
}

// pairs turns values of the form NAME=PATH into a map.
func pairs(flag string, values []string) (map[string]string, error) {
	m := map[string]string{}
	for _, v := range values {
		name, path, ok := strings.Cut(v, "=")
		if name = strings.TrimPrefix(name, "/"); !ok || name == "" || path == "" {
			return nil, usagef("--%s %q, want NAME=FILE", flag, v)
		}
		if _, twice := m[name]; twice {
			return nil, usagef("--%s names %q twice", flag, name)
		}
		m[name] = path
	}
	return m, nil
}
