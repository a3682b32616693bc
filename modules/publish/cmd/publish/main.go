// Command publish puts a release onto a release page, a web server or into a folder. See
// modules/publish/README.md.
//
// The result goes to standard output, what happens meanwhile to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mastercard/mangos/attest/policy"
	"github.com/mastercard/mangos/compare/terminal"
	"github.com/mastercard/mangos/modules/publish"
)

// Exit codes.
const (
	exitOK      = 0 // published, now or before; with --dry-run: nothing is in the way
	exitRefused = 1 // the release or the place is not what it should be
	exitUsage   = 2
	exitTaken   = 3 // something else is there already
	exitBroken  = 4 // it broke off: the same command goes on
)

func main() { os.Exit(run()) }

// run executes the command line and returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newCommand().ExecuteContext(ctx)
	code, hint := exitRefused, ""
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(usageError)):
		code, hint = exitUsage, "; see publish --help"
	case errors.Is(err, publish.ErrTaken):
		code = exitTaken
	case errors.Is(err, publish.ErrBroken), ctx.Err() != nil:
		code = exitBroken
	}
	fmt.Fprintf(os.Stderr, "publish: %s%s\n", terminal.Escape(err.Error()), hint)
	return code
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// options are the flags.
type options struct {
	release, to    string
	policy, at     string
	tryOut         bool
	token, notes   string // files
	page           publish.GitHubOptions
	tries          int
	maxWait        time.Duration
	dryRun, asJSON bool
}

const help = `Puts a release onto a release page, a web server or into a folder: its files first, then
SHA256SUMS, and SHA256SUMS.gpg last. What broke off goes on when it is started again. What
is there with another content stays, and is an error.

PLACE is github:OWNER/REPO, the address of a folder that takes files by PUT
(https://HOST/PATH), or a local folder, which is made if it is not there.

Exit codes: 0 published, now or before, or nothing in the way of --dry-run; 1 the release
or the place is not what it should be; 2 wrong command line; 3 something else is there
already; 4 it broke off: the same command goes on.`

func newCommand() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:           "publish --release DIR --to PLACE",
		Short:         "put a release where devices and people fetch it",
		Long:          help,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	c.CompletionOptions.DisableDefaultCmd = true
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := c.Flags()
	f.StringVar(&o.release, "release", "", "`DIR` of the release")
	f.StringVar(&o.to, "to", "", "`PLACE` to put it")
	f.StringVar(&o.policy, "policy", "", "`FILE` that says who is trusted (attest policy): the release must verify")
	f.StringVar(&o.at, "at", "", "`TIME` at which it must be in force (default now)")
	f.BoolVar(&o.tryOut, "try-out", false, "publish what keys for trying out signed")
	f.StringVar(&o.token, "token-file", "", "`FILE` with a token for the page or the server")
	f.StringVar(&o.page.Tag, "tag", "", "`TAG` of the release on the page (default v and its version)")
	f.StringVar(&o.page.API, "api", publish.PublicAPI, "`URL` of the page's API, as https://HOST/api/v3")
	f.StringVar(&o.page.Uploads, "uploads", "", "`URL` of the host that files are sent to, if it is not the API's own, or uploads.HOST for api.HOST")
	f.BoolVar(&o.page.Prerelease, "prerelease", false, "mark it as a pre-release on the page")
	f.StringVar(&o.notes, "notes", "", "`FILE` with the text of the release on the page")
	f.IntVar(&o.tries, "tries", publish.DefaultOptions().Tries, "how often to try where nothing goes forward")
	f.DurationVar(&o.maxWait, "max-wait", publish.DefaultOptions().Wait, "how long to wait where a rate limit is reached")
	f.BoolVar(&o.dryRun, "dry-run", false, "look, say what would be done, and change nothing")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	c.Args = func(cmd *cobra.Command, args []string) error {
		for _, name := range []string{"release", "to"} {
			if !cmd.Flags().Changed(name) {
				return usageError{fmt.Errorf("--%s is missing", name)}
			}
		}
		if err := cobra.NoArgs(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
	return c
}

func (o *options) run(cmd *cobra.Command) error {
	terms := publish.Terms{At: time.Now(), TryOut: o.tryOut}
	var err error
	if o.at != "" {
		if terms.At, err = time.Parse(time.RFC3339, o.at); err != nil {
			return usageError{fmt.Errorf("--at %q: want a time such as 2030-12-31T00:00:00Z", o.at)}
		}
	}
	if err := o.place().fits(cmd.Flags()); err != nil {
		return err
	}
	if o.policy != "" {
		if terms.Policy, err = policy.Load(o.policy); err != nil {
			return err
		}
	}
	r, err := publish.Open(cmd.Context(), o.release, terms)
	if err != nil {
		return err
	}
	to, err := o.destination(r)
	if err != nil {
		return err
	}
	how := publish.DefaultOptions()
	how.DryRun, how.Tries, how.Wait = o.dryRun, o.tries, o.maxWait
	how.Tell = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), terminal.Escape(line)) }
	result, err := publish.Publish(cmd.Context(), r, to, how)
	if err != nil {
		return err
	}
	if o.asJSON {
		return terminal.WriteJSON(cmd.OutOrStdout(), result)
	}
	return text(cmd.OutOrStdout(), result)
}
