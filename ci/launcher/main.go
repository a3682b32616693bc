//go:build linux

// Command launcher runs Dagger's command line client with an engine behind
// it: the one that _EXPERIMENTAL_DAGGER_RUNNER_HOST names; else what Dagger
// provisions by itself where a container runtime answers; else the embedded
// engine, which it compiles, furnishes and starts when that has not been done.
// It is what ci/dagger becomes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/mastercard/mangos/ci/launcher/daemon"
	"github.com/mastercard/mangos/ci/launcher/step"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run returns the exit status.
func run(args []string) int {
	if len(args) == 2 && args[0] == daemon.Stage {
		fmt.Fprintln(os.Stderr, "mangos:", daemon.Enter(args[1]))
		return 1
	}
	l, err := newLauncher(os.Getenv("MANGOS_STATE"))
	if err == nil {
		var status int
		switch {
		case len(args) > 0 && args[0] == "engine":
			status, err = l.engine(args[1:])
		case len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]):
			status, err = l.help(args)
		default:
			status, err = l.dagger(args)
		}
		if err == nil {
			return status
		}
	}
	fmt.Fprintln(os.Stderr, "mangos:", err)
	return 1
}

// launcher is what one call knows.
type launcher struct {
	self  string // this program
	repo  string // the checkout
	state string // the state folder
	say   *step.Printer

	pruning     bool // the call empties the cache, and may find the disk full
	acceptOlder bool // a fresh lock may be older than the one that it takes the place of
}

func newLauncher(state string) (*launcher, error) {
	if state == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, errors.New("no place for the engine's state: set HOME or MANGOS_STATE")
		}
		state = filepath.Join(cache, "mangos")
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return nil, fmt.Errorf("find the state folder: %w", err)
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return nil, fmt.Errorf("make the state folder (MANGOS_STATE names another one): %w", err)
	}
	// One folder has one name, whatever links led to it.
	if state, err = filepath.EvalSymlinks(state); err != nil {
		return nil, fmt.Errorf("find the state folder: %w", err)
	}
	// A socket's path is limited to 107 bytes by the kernel.
	if len(daemon.Address(state)) > 100 {
		return nil, fmt.Errorf("the path of the state folder is too long for a socket: set MANGOS_STATE to a shorter one than %s", state)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	repo := os.Getenv("MANGOS_REPO")
	if repo == "" {
		return nil, errors.New("call ci/dagger, which starts this program")
	}
	return &launcher{self: self, repo: repo, state: state, say: &step.Printer{W: os.Stderr}}, nil
}

// interruptible is a context that ends with SIGINT or SIGTERM.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}
