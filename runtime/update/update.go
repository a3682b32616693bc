// Package update keeps a machine up to date: it looks at what its two slots hold
// and what its boot loader will start, lets systemd-sysupdate write a new version
// into the slot that does not run, and goes back to the other version on request.
//
// It writes nothing of an update itself. What it adds to systemd-sysupdate is what
// that does not know: the manifest's last day, that nothing older is taken, that a
// version which failed is not tried again, and that the version to fall back to is
// not overwritten before the running one proved good.
package update

import "errors"

var (
	// ErrMachine: the machine is not one that is updated in slots, or not in a
	// state that can be understood.
	ErrMachine = errors.New("this machine's slots cannot be understood")
	// ErrBusy: another update, or a rollback, is under way.
	ErrBusy = errors.New("another update is under way")
	// ErrNotNow: the machine's state forbids it.
	ErrNotNow = errors.New("not in this state")
	// ErrOlder: the release is older than the version that runs.
	ErrOlder = errors.New("older than the version that runs")
	// ErrSysupdate: systemd-sysupdate failed, or did not do what it said.
	ErrSysupdate = errors.New("systemd-sysupdate did not update")
)
