package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is process 1 of the new namespaces: it arranges them, runs the
// command as its child, reaps what the command leaves behind, and returns the
// command's status.
func inside() (int, error) {
	req, err := readRequest(os.NewFile(3, "request"))
	if err != nil {
		return 0, err
	}
	o := req.Options
	if o.Dir == "" && o.Root == "" {
		if o.Dir, err = os.Getwd(); err != nil {
			return 0, fmt.Errorf("find the working folder: %w", err)
		}
	}
	if err := arrange(o); err != nil {
		return 0, err
	}
	if o.Dir == "" {
		o.Dir = "/"
	}
	path, err := lookPath(o.Command[0], o.Dir, req.Env)
	if err != nil {
		return statusNotFound, err
	}

	req.Options, req.Path = o, path
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, append(forwarded, unix.SIGCHLD)...)
	if o.Variation != "" {
		return insideVaried(req, signals)
	}
	// Capabilities, and all that is derived from them, belong to a thread: the
	// command is started from this one.
	if !o.Nest {
		if err := confine(); err != nil {
			return 0, err
		}
	}
	pid, err := syscall.ForkExec(path, o.Command, &syscall.ProcAttr{
		Dir:   o.Dir,
		Env:   req.Env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: o.UID, Gid: o.GID}},
	})
	if err != nil {
		return notStarted(req, err)
	}
	return reap(pid, signals)
}

// notStarted returns the status of a command that could not be started.
func notStarted(req request, err error) (int, error) {
	if errors.Is(err, unix.ENOENT) {
		return statusNotFound, fmt.Errorf("run %s in %s: %w", req.Path, req.Options.Dir, err)
	}
	return statusNotExec, fmt.Errorf("run %s: %w", req.Path, err)
}

func readRequest(f *os.File) (request, error) {
	var req request
	defer f.Close()
	// A command line is limited by the kernel to some megabytes.
	data, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err != nil {
		return req, fmt.Errorf("read what to run: %w", err)
	}
	if err := json.Unmarshal(data, &req); err != nil {
		return req, fmt.Errorf("read what to run: %w", err)
	}
	if len(req.Options.Command) == 0 {
		return req, errors.New("read what to run: no command")
	}
	return req, nil
}

// reap hands signals on to the command and collects ended processes until the
// command is among them. The kernel ends the others with this process.
func reap(pid int, signals <-chan os.Signal) (int, error) {
	for s := range signals {
		if s != unix.SIGCHLD {
			if err := unix.Kill(pid, s.(syscall.Signal)); err != nil && !errors.Is(err, unix.ESRCH) {
				return 0, fmt.Errorf("hand on %v: %w", s, err)
			}
			continue
		}
		for {
			var ws syscall.WaitStatus
			got, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return 0, fmt.Errorf("wait for the command: %w", err)
			}
			if got == 0 {
				break
			}
			if got == pid {
				return exitStatus(ws), nil
			}
		}
	}
	return 0, errors.New("wait for the command: no more signals")
}

// lookPath finds the command as a shell with the environment env in the folder
// dir would.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if filepath.IsAbs(name) {
			return name, nil
		}
		return filepath.Join(dir, name), nil
	}
	for _, e := range env {
		list, ok := strings.CutPrefix(e, "PATH=")
		if !ok {
			continue
		}
		for _, d := range filepath.SplitList(list) {
			candidate := filepath.Join(d, name)
			if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return candidate, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}
