package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/modules/sandbox/trace"
)

const (
	// variationEnv names the variable that makes a sandbox a different world:
	// what it otherwise fixes, it sets to something else. A build that is done
	// twice, once with this variable, shows what its results depend on. The text
	// names the second build; another text makes a build system run a step again.
	variationEnv = "MANGOS_VARIATION"
	// traceEnv names the folder for the traces of a variation's steps.
	traceEnv = "MANGOS_TRACE"
)

// later is how far a variation's clock is ahead: another hour, day, month and
// year.
const later = 398*24*time.Hour + 5*time.Hour + 43*time.Minute

// somebody is the user that a variation's command runs as, with the capabilities
// that it usually has as root.
const somebody = 4321

// zone is a time zone file (RFC 9636, version 1) for a zone 14 hours ahead of UTC,
// the one whose date differs from UTC's most.
const zone = "TZif\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + // no changes of any kind
	"\x00\x00\x00\x01" + "\x00\x00\x00\x04" + // one type of time, 4 bytes of names
	"\x00\x00\xc4\xe0" + "\x00" + "\x00" + "+14\x00" // 14 hours, no summer time, its name

// vary runs the command in another world, and leaves a trace of it where the
// environment names a folder for that. A command that fails leaves none.
func vary(o options, env []string) (int, error) {
	if err := trace.CheckBuild(o.Variation); err != nil {
		return 0, fmt.Errorf("%s: %w", variationEnv, err)
	}
	folder := os.Getenv(traceEnv)
	step := trace.Step{Build: o.Variation, Command: o.Command, Nest: o.Nest, Started: time.Now().UTC()}
	var err error
	if step.Usual, err = usual(o, env); err != nil {
		return 0, err
	}
	if o.Root == "" {
		if o.Elsewhere, err = os.MkdirTemp("", "variation-"); err != nil {
			return 0, fmt.Errorf("make a folder for the variation: %w", err)
		}
		defer os.RemoveAll(o.Elsewhere)
	}
	if folder != "" {
		if step.Inputs, err = items(o, o.given(o.In)); err != nil {
			return 0, err
		}
	}
	varied, env := varied(o, env)
	if err := furnish(varied); err != nil {
		return 0, err
	}
	report, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer report.Close()
	status, err := launch(request{Options: varied, Env: env, Followed: followed()}, w)
	w.Close()
	if err != nil || status != 0 || folder == "" {
		return status, err
	}
	if err := json.NewDecoder(io.LimitReader(report, 64<<10)).Decode(&step.Seen); err != nil {
		return 0, fmt.Errorf("read what the command saw: %w", err)
	}
	if step.Results, err = items(o, o.given(o.Out)); err != nil {
		return 0, err
	}
	step.Ended = time.Now().UTC()
	return 0, step.Save(folder)
}

// varied replaces a world's settings. A command with a root of its own keeps its
// paths, and its user: they are the device's.
func varied(o options, env []string) (options, []string) {
	if o.Hostname == defaultHostname {
		o.Hostname = "variation"
	}
	set := []string{"LANG=C", "LC_ALL=C", "USER=somebody", "LOGNAME=somebody"}
	if o.Root != "" {
		set = append(set, "TZ=<+14>-14")
	} else {
		set = append(set, "TZ="+o.Elsewhere+"/zone", "HOME="+o.Elsewhere+"/home", "TMPDIR="+o.Elsewhere+"/temporary")
		o.Command = o.moved(o.Command...)
		o.Dir = o.moved(o.Dir)[0]
		env = o.moved(env...)
	}
	if o.Nest {
		set = append(set, variationEnv+"="+o.Variation)
	}
	// A command that makes sandboxes has to be root, and so has dpkg.
	if o.Root == "" && !o.Nest && o.UID == 0 {
		o.UID, o.GID, o.Ambient = somebody, somebody, true
	}
	for _, entry := range set {
		name, _, _ := strings.Cut(entry, "=")
		env = replaceEnv(env, name, entry)
	}
	return o, env
}

// furnish makes what a variation's settings name.
func furnish(o options) error {
	if o.Elsewhere == "" {
		return nil
	}
	err := os.WriteFile(filepath.Join(o.Elsewhere, "zone"), []byte(zone), 0o644)
	for _, dir := range []string{".", "home", "temporary"} {
		dir = filepath.Join(o.Elsewhere, dir)
		if made := os.Mkdir(dir, 0o755); !errors.Is(made, os.ErrExist) {
			err = errors.Join(err, made)
		}
		err = errors.Join(err, os.Chmod(dir, 0o755), os.Chown(dir, int(o.UID), int(o.GID)))
	}
	if err != nil {
		return fmt.Errorf("make a folder for the variation: %w", err)
	}
	return nil
}

// items describes paths by their usual names.
func items(o options, paths []string) ([]trace.Item, error) {
	list := []trace.Item{}
	for _, p := range paths {
		found, err := trace.Items(context.Background(), p, p)
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].Path = o.moved(found[i].Path)[0]
		}
		list = append(list, found...)
	}
	return list, nil
}

// usual is the world without a variation.
func usual(o options, env []string) (trace.World, error) {
	w, err := world(env)
	w.Hostname, w.Umask, w.User = o.Hostname, "0022", fmt.Sprintf("%d:%d", o.UID, o.GID)
	if o.Dir != "" {
		w.Folder = o.Dir
	}
	return w, err
}

// world describes what the calling process sees, with env as its environment.
func world(env []string) (w trace.World, err error) {
	if w.Hostname, err = os.Hostname(); err != nil {
		return w, fmt.Errorf("describe the world: %w", err)
	}
	if w.Folder, err = os.Getwd(); err != nil {
		return w, fmt.Errorf("describe the world: %w", err)
	}
	mask := unix.Umask(0)
	unix.Umask(mask)
	w.Umask = fmt.Sprintf("%04o", mask)
	w.User = fmt.Sprintf("%d:%d", unix.Getuid(), unix.Getgid())
	var now unix.Timespec
	// Not time.Now: this process may still have the page that tells the time.
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return w, fmt.Errorf("describe the world: the time: %w", err)
	}
	w.Time = time.Unix(now.Unix()).UTC()
	var processors unix.CPUSet
	if err := unix.SchedGetaffinity(0, &processors); err != nil {
		return w, fmt.Errorf("describe the world: processors: %w", err)
	}
	w.Processors = processors.Count()
	for _, v := range []struct {
		name  string
		value *string
	}{{"USER", &w.Login}, {"TZ", &w.Zone}, {"LANG", &w.Locale}, {"LC_ALL", &w.Locale}, {"HOME", &w.Home}} {
		for _, e := range env {
			if value, ok := strings.CutPrefix(e, v.name+"="); ok {
				*v.value = value
			}
		}
	}
	return w, nil
}

// umask returns what the command's file modes lack.
func umask(variation string) int {
	if variation != "" {
		return 0o002
	}
	return 0o022
}

// leaveOneProcessor takes all processors but the first that may be used from
// the calling thread and its children.
func leaveOneProcessor() error {
	var have, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &have); err != nil {
		return fmt.Errorf("read the processors in use: %w", err)
	}
	for cpu := 0; cpu < len(have)*64; cpu++ {
		if have.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("leave one processor: %w", err)
	}
	return nil
}
