// Command sandbox runs one build step apart from the machine: no network but
// loopback, a fixed host name, a clean environment, its own processes, mounts
// and devices, and only the capabilities that a build needs.
//
//	sandbox [--hostname NAME] [--root DIR] [--env K=V]... [--user UID:GID]
//	        [--keep-network] [--dir DIR] [--in DIR]... [--out DIR]... [--nest]
//	        -- COMMAND [ARGUMENT]...
//
// It exits with the command's status, with 128 plus the number of the signal
// that ended it, or with one of the statuses below when the command did not
// run. It needs root (in Dagger: InsecureRootCapabilities) and refuses to run
// the command with less isolation than it promises.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
)

// Exit statuses that are not the command's own.
const (
	statusUsage    = 125 // the sandbox could not be made
	statusNotExec  = 126 // the command is no program
	statusNotFound = 127 // the command does not exist
)

// A program that becomes another one does so in its first thread: that is the one
// that a tracer of a process follows.
func init() { runtime.LockOSThread() }

func main() {
	os.Exit(run(os.Args))
}

// run is the program; argv[0] is its own name.
func run(argv []string) int {
	if len(argv) == 2 && argv[1] == insideArg {
		status, err := inside()
		return report(status, err)
	}
	if len(argv) == 2 && argv[1] == placeArg {
		status, err := become()
		return report(status, err)
	}
	opts, err := parse(argv[1:])
	if err != nil {
		return report(statusUsage, err)
	}
	status, err := outside(opts)
	return report(status, err)
}

// report prints the reason why the command did not run, if any, and returns
// the exit status.
func report(status int, err error) int {
	if err == nil {
		return status
	}
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist) && status == statusNotFound:
		return statusNotFound
	case status == 0:
		return statusUsage
	}
	return status
}
