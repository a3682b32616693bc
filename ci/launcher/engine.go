//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mastercard/mangos/ci/launcher/build"
	"github.com/mastercard/mangos/ci/launcher/daemon"
)

const engineUsage = "usage: ci/dagger engine status | stop | logs | prune"

const engineHelp = engineUsage + `

The embedded engine runs where no container runtime answers and no engine is named in
_EXPERIMENTAL_DAGGER_RUNNER_HOST. It starts by itself. Its state is in MANGOS_STATE.

  status  whether it runs, since when, and where; the exit status is 3 when it does not
  stop    end it, and with it the calls that use it
  logs    print its messages
  prune   empty its cache; remove programs, images and locks of other versions
`

// engine carries out a command on the embedded engine itself.
func (l *launcher) engine(args []string) (int, error) {
	if len(args) != 1 {
		return 0, errors.New(engineUsage)
	}
	switch args[0] {
	case "help", "-h", "--help":
		fmt.Print(engineHelp)
		return 0, nil
	case "status":
		return l.status()
	case "stop":
		return l.stop()
	case "logs":
		return l.logs()
	case "prune":
		return l.prune()
	default:
		return 0, fmt.Errorf("no such command: engine %s; %s", args[0], engineUsage)
	}
}

// status prints whether the engine runs; its exit status is 3 when it does
// not, as for a service.
func (l *launcher) status() (int, error) {
	rec, err := daemon.Find(l.state)
	if err != nil {
		return 0, err
	}
	switch {
	case rec == nil:
		fmt.Printf("not running; state in %s\n", l.state)
		return 3, nil
	case !daemon.Answers(l.state):
		fmt.Printf("process %d does not answer; its messages: %s\n", rec.PID, daemon.LogPath(l.state))
		return 3, nil
	}
	fmt.Printf("running since %s, process %d, at %s, network %s (%s0)\n", rec.Started.Local().Format(time.RFC3339),
		rec.PID, daemon.Address(l.state), rec.Network.CIDR, rec.Network.Name)
	return 0, nil
}

// stop ends the engine, and with it every call that uses it.
func (l *launcher) stop() (int, error) {
	ctx, end := interruptible()
	defer end()
	lock, err := l.startLock(ctx)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	stopped, err := daemon.Stop(l.state, time.Minute)
	if err != nil {
		return 0, err
	}
	if stopped {
		fmt.Println("stopped")
	} else {
		fmt.Println("not running")
	}
	return 0, nil
}

func (l *launcher) logs() (int, error) {
	f, err := os.Open(daemon.LogPath(l.state))
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("no messages: no engine has run with its state in %s", l.state)
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = io.Copy(os.Stdout, f)
	return 0, err
}

// prune empties the cache of the engine and removes programs and images of
// other versions, and locks that took the place of one in git.
func (l *launcher) prune() (int, error) {
	if daemon.Unused(l.state) {
		l.say.Say("the embedded engine has no cache in %s", l.state)
	} else {
		l.pruning = true
		status, err := l.dagger([]string{"--progress=plain", "core", "engine", "local-cache", "prune"})
		if err != nil || status != 0 {
			return status, err
		}
	}
	src, err := build.Read(filepath.Join(l.repo, "ci", "engine"))
	if err != nil {
		return 0, err
	}
	ctx, stop := interruptible()
	defer stop()
	lock, err := l.startLock(ctx)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	rec, err := daemon.Find(l.state)
	if err != nil {
		return 0, err
	}
	if err := removeSiblings(l.binDir(src)); err != nil {
		return 0, err
	}
	if err := os.RemoveAll(l.freshDir()); err != nil {
		return 0, fmt.Errorf("prune: %w", err)
	}
	if rec != nil {
		return 0, removeSiblings(rec.Config.Content)
	}
	return 0, nil
}

// removeSiblings removes everything else from keep's folder.
func removeSiblings(keep string) error {
	dir := filepath.Dir(keep)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); path != keep {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("prune: %w", err)
			}
		}
	}
	return nil
}
