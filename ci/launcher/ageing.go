//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// errGone says that a locked file can be had nowhere any more: the mirror dropped it.
var errGone = errors.New("a locked file is gone")

// exitGone is the exit status of the debian program for that, and so of a call
// whose step it was.
const exitGone = 3

// lock is the lock in git.
func (l *launcher) lock() string { return filepath.Join(l.repo, "debian.lock.json") }

// freshDir is the folder of the locks that were made when a locked file was gone.
func (l *launcher) freshDir() string { return filepath.Join(l.state, "lock") }

// withLock calls f with the lock in git. When that fails with errGone and ages is
// set, it calls f again with a lock that takes its place: the one that was made
// before, while that is good, else a new one. It lies in the state folder, and
// belongs to one content of the lock and the definition in git.
func (l *launcher) withLock(ages bool, f func(lock string) error) error {
	err := f(l.lock())
	if !ages || !errors.Is(err, errGone) {
		return err
	}
	name, hashErr := hashFiles("", l.lock(), filepath.Join(l.repo, "mangos.toml"))
	if hashErr != nil {
		return fmt.Errorf("refresh the lock: %w", hashErr)
	}
	fresh := filepath.Join(l.freshDir(), name+".json")
	before := l.kept(fresh)
	if before {
		l.say.Say("%v: going on with %s, made when that was noticed", errGone, fresh)
		if err = f(fresh); !errors.Is(err, errGone) {
			return err
		}
	}
	if err := l.refresh(fresh, before); err != nil {
		return err
	}
	return f(fresh)
}

// kept reports whether there is a fresh lock of that name from an earlier call. What
// a power cut left of one is dropped.
func (l *launcher) kept(fresh string) bool {
	text, err := os.ReadFile(fresh)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err == nil && json.Valid(text) {
		return true
	}
	l.say.Say("%s is no lock, and is made anew", fresh)
	return false
}

// refresh makes a lock from the archive's present state, with nothing in it that is
// older than in the lock in git or, if there was one before, in the fresh lock.
func (l *launcher) refresh(fresh string, before bool) error {
	if os.Geteuid() != 0 {
		return errors.New("a locked file is gone, and only root can make a fresh lock for this call: call it with sudo, or refresh the lock in git (ci/dagger call lock -o debian.lock.json)")
	}
	ctx, stop := interruptible()
	defer stop()
	if err := os.MkdirAll(l.freshDir(), 0o755); err != nil {
		return fmt.Errorf("refresh the lock: %w", err)
	}
	work, err := os.MkdirTemp(l.state, "lock-")
	if err != nil {
		return fmt.Errorf("refresh the lock: %w", err)
	}
	defer os.RemoveAll(work)
	l.say.Say("%v: this call, and no build, goes on with a fresh lock, %s; for git, call ci/dagger call lock -o debian.lock.json", errGone, fresh)
	if err := l.compilePackageTools(ctx, work); err != nil {
		return err
	}
	args := []string{"lock", "--definition", filepath.Join(l.repo, "mangos.toml"), "--present", l.lock(),
		"--cache", filepath.Join(l.state, "packages"), "--sandbox", filepath.Join(work, "sandbox"), "--out", fresh}
	if before {
		args = append(args, "--present", fresh)
	}
	if l.acceptOlder {
		args = append(args, "--accept-older")
	}
	err = l.say.Do("make a fresh lock", func() error { return l.debian(ctx, work, args...) })
	if err != nil {
		// Not wrapped: it is not the reason to make a fresh lock once more.
		return errors.New("refresh the lock: " + err.Error())
	}
	return nil
}

// lockAges reports whether a call may go on with a lock made anew when a locked
// file is gone: the test may, and a call that makes a lock for git, which an engine
// is needed for. A build never does.
func lockAges(args []string) bool {
	name := function(args)
	return (name == "test" || name == "lock") && !hasFlag(args, "lock")
}

// acceptsOlder reports whether a call is one for a lock that may be older than the
// present one.
func acceptsOlder(args []string) bool {
	return function(args) == "lock" &&
		(slices.Contains(args, "--accept-older") || slices.Contains(args, "--accept-older=true"))
}

// function returns the function of the root module that a command line calls, or ""
// when that is not certain.
func function(args []string) string {
	at := callIndex(args)
	if at < 0 {
		return ""
	}
	// The constructor's flags; all have a value.
	withValue := []string{
		"--definition", "--lock", "--identities", "--source", "--fragments", "--trees", "--mirrors", "--goproxy", "--package-cache",
	}
	for i := at + 1; i < len(args); i++ {
		switch arg := args[i]; {
		case slices.Contains(withValue, arg):
			i++
		case strings.HasPrefix(arg, "--") && strings.Contains(arg, "="):
		case strings.HasPrefix(arg, "-"):
			return ""
		default:
			return arg
		}
	}
	return ""
}

// withLockFlag gives a call another lock than the one in git.
func (l *launcher) withLockFlag(args []string, lock string) []string {
	if lock == l.lock() {
		return args
	}
	return slices.Insert(slices.Clone(args), callIndex(args)+1, "--lock="+lock)
}
