//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mastercard/mangos/ci/launcher/build"
	"github.com/mastercard/mangos/ci/launcher/daemon"
	"github.com/mastercard/mangos/ci/launcher/lockfile"
	"github.com/mastercard/mangos/ci/launcher/machine"
)

// runnerEnv names the engine to use, to Dagger and to us.
const runnerEnv = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"

// help prints the client's help, which needs no engine, and what is added to it here.
func (l *launcher) help(args []string) (int, error) {
	fmt.Print("ci/dagger is Dagger's command line with an engine behind it, and has one command more:\nci/dagger engine --help\n\n")
	src, err := build.Read(filepath.Join(l.repo, "ci", "engine"))
	if err != nil {
		return 0, err
	}
	ctx, stop := interruptible()
	defer stop()
	if err := l.ensureCLI(ctx, src); err != nil {
		return 0, err
	}
	stop()
	return l.runCLI(src, args, nil, false)
}

// dagger runs the client and returns its exit status.
func (l *launcher) dagger(args []string) (int, error) {
	src, err := build.Read(filepath.Join(l.repo, "ci", "engine"))
	if err != nil {
		return 0, err
	}
	ctx, stop := interruptible()
	defer stop()
	l.acceptOlder = acceptsOlder(args)
	runner := os.Getenv(runnerEnv)
	embedded := false
	var use *lockfile.Lock
	if l.pruning {
		runner = "" // the embedded engine's cache is meant, whatever else there is
	}
	if runner == "" {
		if l.pruning || machine.ContainerRuntime(ctx) == "" {
			if use, err = l.ensureEngine(ctx, src, lockAges(args)); err != nil {
				return 0, err
			}
			defer use.Close()
			runner, embedded = daemon.Address(l.state), true
		}
	}
	if err := l.ensureCLI(ctx, src); err != nil {
		return 0, err
	}
	checkout, err := l.ownCheckout(ctx)
	if err != nil {
		return 0, err
	}
	defer checkout.Close()
	args, env, err := l.addMachineFlags(ctx, args)
	if err != nil {
		return 0, err
	}
	if runner != "" {
		env = append(env, runnerEnv+"="+runner)
	}
	stop() // from here on, signals are the client's
	status := 0
	err = l.withLock(lockAges(args), func(lock string) (err error) {
		status, err = l.runCLI(src, l.withLockFlag(args, lock), env, embedded, checkout, use)
		if err == nil && status == exitGone {
			return errGone
		}
		return err
	})
	if status == exitGone && errors.Is(err, errGone) {
		return status, nil // the client has said why
	}
	if err == nil && status == 0 {
		l.sayWithheld(args)
	}
	return status, err
}

// ownCheckout keeps calls of other checkouts away: an engine takes modules of the same code
// for the same, and gives what stands beside it, definition and lock, from the checkout
// whose call began first (Dagger 0.19.7, moduleSourceSchema.getModuleFromContentDigest).
func (l *launcher) ownCheckout(ctx context.Context) (*lockfile.Lock, error) {
	return lockfile.SharedAs(ctx, filepath.Join(l.state, "checkout.lock"), l.repo, func(other string) {
		l.say.Say("waiting for a call of the checkout %s to end: an engine would mix up the two", other)
	})
}

// binDir is where the programs of one version of ci/engine lie.
func (l *launcher) binDir(src build.Source) string {
	return filepath.Join(l.state, "engine", src.Key)
}

// ensureCLI compiles the client alone, for an engine that is not ours.
func (l *launcher) ensureCLI(ctx context.Context, src build.Source) error {
	if build.Present(l.binDir(src), build.CLI) {
		return nil
	}
	lock, err := l.startLock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	return l.compile(ctx, src, build.CLI)
}

// runCLI runs the client with this process's streams and hands signals on. The
// client inherits the locks, which keep the engine from being replaced under it, and
// other checkouts away.
func (l *launcher) runCLI(src build.Source, args, env []string, embedded bool, locks ...*lockfile.Lock) (int, error) {
	cmd := exec.Command(filepath.Join(l.binDir(src), build.CLI), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(append(os.Environ(), "DO_NOT_TRACK=1", "DAGGER_NO_NAG=1"), env...)
	for _, lock := range locks {
		if lock != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, lock.File())
		}
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("run the Dagger client: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			// A terminal sends SIGINT and SIGQUIT to the client itself.
			if s == syscall.SIGTERM || s == syscall.SIGHUP {
				cmd.Process.Signal(s)
			}
		case err := <-ended:
			return l.clientStatus(cmd, err, embedded)
		}
	}
}

func (l *launcher) clientStatus(cmd *exec.Cmd, err error, embedded bool) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("run the Dagger client: %w", err)
	}
	if err == nil {
		return 0, nil
	}
	if embedded && !daemon.Answers(l.state) {
		l.say.Say("the engine died during this call: call again to start it anew; its last messages, of all in %s:\n%s",
			daemon.LogPath(l.state), daemon.Tail(l.state, 15))
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// ensureEngine returns once an engine of this checkout's version answers on
// the state folder, with a lock that keeps it there; ages is that of withLock.
func (l *launcher) ensureEngine(ctx context.Context, src build.Source, ages bool) (*lockfile.Lock, error) {
	if err := l.checkMachine(src); err != nil {
		return nil, err
	}
	start, err := l.startLock(ctx)
	if err != nil {
		return nil, err
	}
	defer start.Close()
	cfg, err := l.furnish(ctx, src, ages)
	if err != nil {
		return nil, err
	}
	running, err := daemon.Find(l.state)
	if err != nil {
		return nil, err
	}
	if running == nil || !running.Config.Equal(cfg) || !daemon.Answers(l.state) {
		if err := l.replace(ctx, running, cfg); err != nil {
			return nil, err
		}
	}
	return lockfile.Shared(filepath.Join(l.state, "use.lock"))
}

// startLock is held by who makes programs, or starts or ends the engine.
func (l *launcher) startLock(ctx context.Context) (*lockfile.Lock, error) {
	return lockfile.Exclusive(ctx, filepath.Join(l.state, "start.lock"), func(holder string) {
		l.say.Say("waiting for %s, which makes programs or starts or ends the engine", holder)
	})
}

// replace starts an engine, and before that stops the one that does not fit
// any more. One that other calls use stays, if it is of the same version;
// else those calls are waited for.
func (l *launcher) replace(ctx context.Context, running *daemon.Record, cfg daemon.Config) error {
	usePath := filepath.Join(l.state, "use.lock")
	use, err := lockfile.TryExclusive(usePath)
	if errors.Is(err, lockfile.ErrHeld) {
		if running != nil && running.Config.Bin == cfg.Bin && daemon.Answers(l.state) {
			l.say.Say("the engine's inputs have changed; it is replaced when no other call uses it")
			return nil
		}
		l.say.Say("waiting for another call to end, because the engine has to be replaced")
		use, err = lockfile.Exclusive(ctx, usePath, nil)
	}
	if err != nil {
		return err
	}
	defer use.Close()
	if running != nil {
		err := l.say.Do("stop the engine, whose inputs have changed", func() error {
			_, err := daemon.Stop(l.state, time.Minute)
			return err
		})
		if err != nil {
			return err
		}
	}
	return l.say.Do("start the engine", func() error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		_, err := daemon.Start(ctx, l.self, cfg)
		return err
	})
}
