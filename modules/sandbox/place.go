package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/modules/sandbox/clock"
)

// A variation's command is started in three steps, by process 1 of the new
// namespaces: this program in the command's place, confined as the command will
// be; the tracer that answers its questions for the time; and, when that follows,
// the command, after the process in its place has described what it sees.

// placeArg tells the program that it is in the command's place.
const placeArg = "--in-the-place-of-the-command"

// insideVaried runs a variation's command and returns its status.
func insideVaried(req request, signals <-chan os.Signal) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer w.Close()
	pid, err := startInPlace(req.Options, req.Env, r)
	r.Close()
	if err != nil {
		return 0, err
	}
	if err := unix.Close(reportFile); err != nil {
		return 0, err
	}
	if !req.Followed {
		if err := clock.Seize(pid); err != nil {
			return 0, errors.Join(err, unix.Kill(pid, unix.SIGKILL))
		}
	}
	if err := json.NewEncoder(w).Encode(req); err != nil {
		return 0, errors.Join(fmt.Errorf("describe the command: %w", err), unix.Kill(pid, unix.SIGKILL))
	}
	w.Close()
	if req.Followed {
		return reap(pid, signals)
	}
	go forward(pid, signals)
	status, err := clock.Follow(pid, later)
	if err != nil {
		return 0, err
	}
	return exitStatus(syscall.WaitStatus(status)), nil
}

// startInPlace starts this program in the command's place, on one processor and
// with the command's user and capabilities. Those belong to a thread, so it is
// started from one that is thrown away: this one keeps what a tracer needs.
func startInPlace(o options, env []string, requests *os.File) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends here
		if err = leaveOneProcessor(); err != nil {
			return
		}
		if !o.Nest {
			if err = confine(); err != nil {
				return
			}
		}
		attr := &syscall.ProcAttr{
			Env:   env,
			Files: []uintptr{0, 1, 2, requests.Fd(), reportFile},
			Sys:   &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: o.UID, Gid: o.GID}},
		}
		if o.Ambient {
			for _, c := range kept {
				attr.Sys.AmbientCaps = append(attr.Sys.AmbientCaps, uintptr(c))
			}
		}
		if pid, err = syscall.ForkExec("/proc/self/exe", []string{os.Args[0], placeArg}, attr); err != nil {
			err = fmt.Errorf("start the command: %w", err)
		}
	}()
	<-done
	return pid, err
}

// reportFile is the descriptor to describe the command's world on.
const reportFile = 4

// become waits to be followed, describes what it sees, and becomes the command.
func become() (int, error) {
	report := os.NewFile(reportFile, "report")
	syscall.CloseOnExec(reportFile)
	req, err := readRequest(os.NewFile(3, "request"))
	if err != nil {
		return 0, err
	}
	if !req.Followed {
		if err := clock.Filter(); err != nil {
			return 0, err
		}
	}
	if err := unix.Chdir(req.Options.Dir); err != nil {
		return notStarted(req, err)
	}
	seen, err := world(req.Env)
	if err != nil {
		return 0, err
	}
	if err := json.NewEncoder(report).Encode(seen); err != nil {
		return 0, fmt.Errorf("describe the world: %w", err)
	}
	return notStarted(req, syscall.Exec(req.Path, req.Options.Command, req.Env))
}

// forward hands signals on to the command.
func forward(pid int, signals <-chan os.Signal) {
	for s := range signals {
		if s != unix.SIGCHLD {
			// A command that has ended needs none.
			_ = unix.Kill(pid, s.(syscall.Signal))
		}
	}
}

// followed tells whether this process is traced: then so is what it starts, and
// whoever does that answers questions for the time, as a process has one tracer.
func followed() bool {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(io.LimitReader(bytes.NewReader(text), 64<<10))
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "TracerPid:"); ok {
			return strings.TrimSpace(id) != "0"
		}
	}
	return false
}
