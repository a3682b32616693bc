package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// endTime is how long systemd-sysupdate may take to end when it is asked to.
const endTime = 30 * time.Second

// Sysupdate is systemd-sysupdate, and what it is told.
type Sysupdate struct {
	Program string
	// Definitions is the folder with the transfers.
	Definitions string
	// Log gets what it says.
	Log io.Writer
}

// Ready refuses where an update would leave the machine without a version to fall
// back to. Errors wrap ErrNotNow.
func (s *State) Ready() error {
	if len(s.Slots) < 2 {
		return fmt.Errorf("%w: there is one slot alone; the second is made at the first start of an installed machine", ErrNotNow)
	}
	if s.Variable != "" {
		return s.chosenError()
	}
	// systemd-sysupdate overwrites the slot that does not run, whatever is there.
	e := s.entry(s.Running)
	switch {
	case e == nil:
		return fmt.Errorf("%w: the boot loader has no entry for the running version %s: start the machine anew first", ErrNotNow, s.Running)
	case e.Bad():
		return fmt.Errorf("%w: the running version %s is %s, and the other one would be overwritten: start the machine anew first", ErrNotNow, s.Running, e)
	case !e.Good():
		return fmt.Errorf("%w: the running version %s did not prove good yet (%s), and the one to fall back to would be overwritten: wait for that", ErrNotNow, s.Running, e)
	}
	return nil
}

// Apply brings the newest release into the slot that does not run. found is told
// before anything is downloaded. The offer's verdict is New where it was applied;
// with another one there was nothing to do. Errors wrap those of Read and Look,
// ErrBusy, ErrNotNow or ErrSysupdate.
func Apply(ctx context.Context, root string, src Source, with Sysupdate, now time.Time, found func(*State, *Offer)) (*Offer, error) {
	locked, err := lock(root)
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	defer locked.Close()
	before, err := Read(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	o, err := src.Look(ctx, before, now)
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	found(before, o)
	if o.Verdict != New {
		return o, nil
	}
	if err := before.Ready(); err != nil {
		return o, fmt.Errorf("apply version %s: %w", o.Version, err)
	}
	if err := with.update(ctx, o.Version, locked); err != nil {
		return o, fmt.Errorf("apply version %s: %w; version %s stays what is started, and another apply goes on", o.Version, err, before.Running)
	}
	after, err := Read(ctx, root)
	if err != nil {
		return o, fmt.Errorf("apply version %s: %w", o.Version, err)
	}
	return o, after.holds(o)
}

// update calls systemd-sysupdate, which inherits the lock: as long as it runs no
// other starts, even where nobody waits for it any more.
func (u Sysupdate) update(ctx context.Context, version string, locked *os.File) error {
	cmd := exec.CommandContext(ctx, u.Program, "--definitions="+u.Definitions, "--no-pager", "update", version)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0")
	cmd.Stdout, cmd.Stderr = u.Log, u.Log
	cmd.ExtraFiles = []*os.File{locked}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = endTime
	err := cmd.Run()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w (the image has it in the package systemd-container)", ErrSysupdate, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w, it says why above", ErrSysupdate, err)
	}
	return nil
}

// holds makes sure that the next start takes what was applied, and that it is what the
// release key signed: systemd-sysupdate may have been told of another source.
func (s *State) holds(o *Offer) error {
	slot, next := s.slot(o.Version), s.Next()
	switch {
	case slot == nil:
		return fmt.Errorf("apply version %s: %w: no slot holds all of it; look at the transfers in its definitions", o.Version, ErrSysupdate)
	case slot.Root != o.root:
		return fmt.Errorf("apply version %s: %w: the slot has the root hash %s, and the release %s; look at the sources in its definitions", o.Version, ErrSysupdate, slot.Root, o.root)
	case slot.Entry == nil || slot.Entry.Left <= 0:
		return fmt.Errorf("apply version %s: %w: the boot loader has no entry of it with starts left; look at the transfer of the kernel image", o.Version, ErrSysupdate)
	case next.Version != o.Version:
		return fmt.Errorf("apply version %s: %w: the boot loader starts %s next", o.Version, ErrSysupdate, next.Version)
	}
	return nil
}
