package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideArg tells the program that it runs inside the new namespaces.
const insideArg = "--inside-the-namespaces"

// request is what one part of the program hands to the next.
type request struct {
	Options options
	Env     []string
	// Followed tells that a tracer answers the command's questions for the time
	// already.
	Followed bool
	// Path is the command's program.
	Path string
}

// forwarded are the signals that reach the command.
var forwarded = []os.Signal{
	unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH,
}

// outside runs the command in a sandbox and returns its status.
func outside(o options) (int, error) {
	env, err := environment(o, os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return 0, err
	}
	if o.Variation = os.Getenv(variationEnv); o.Variation != "" {
		return vary(o, env)
	}
	return launch(request{Options: o, Env: env}, nil)
}

// launch starts the program again in new namespaces and returns its status. A
// variation's command describes the world that it sees on report.
func launch(req request, report *os.File) (int, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return 0, fmt.Errorf("describe the command: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer r.Close()
	defer w.Close()

	// The kernel ends the inner half when this thread ends, not this process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", insideArg)
	cmd.Args[0] = os.Args[0]
	cmd.Env = []string{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{r}
	if report != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, report)
	}
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID)
	if !req.Options.KeepNetwork {
		flags |= unix.CLONE_NEWNET
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) {
			return 0, errors.New("no right to make namespaces: run as root with all capabilities (in Dagger: InsecureRootCapabilities)")
		}
		return 0, fmt.Errorf("make namespaces: %w", err)
	}
	r.Close()
	if _, err := w.Write(data); err != nil {
		cmd.Process.Kill()
		return 0, errors.Join(fmt.Errorf("describe the command: %w", err), cmd.Wait())
	}
	w.Close()

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			cmd.Process.Signal(s)
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, fmt.Errorf("wait for the command: %w", err)
			}
			return exitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus)), nil
		}
	}
}

// exitStatus maps a wait status as shells do.
func exitStatus(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
