package scenario

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/mastercard/mangos/modules/vm/disk"
)

// failingUnit fails when the system has come far, and asks for what elsewhere is a shell.
const (
	failingUnit = "mangos-test-failing.service"
	failingText = `[Unit]
Description=Fail
OnFailure=emergency.target
OnFailureJobMode=replace-irreversibly

[Service]
Type=oneshot
ExecStart=/usr/bin/false
`
)

var emergency = &Scenario{
	Name:    "emergency",
	About:   "a unit of the started system fails and asks for emergency mode: the console says which, nobody is let in, the next start is tried",
	Rows:    []string{"says-what-failed", "starts-again"},
	Minutes: 1.5,
	Full:    true,
	run: func(ctx context.Context, t *Trial) error {
		image := filepath.Join(t.Lab.Work, "emergency.failing.raw")
		if err := t.Lab.failingExtension(ctx, image); err != nil {
			return err
		}
		b := boot{vary: func(ctx context.Context, img *disk.Image) error {
			return putAll(ctx, img, map[string]string{image: extensions + "/failing.sysext.raw"})
		}}
		return t.with(ctx, b, func(r *Run) error {
			r.until(ctx, Ready)
			t.Expect("says-what-failed", r.says("start-up failed ["+failingUnit+"]: Fail (exit-code)"), "the console does not name the unit: %s", r.tail())
			t.ExpectEnding("starts-again", r, Reset)
			t.Expect("starts-again", r.says("no shell is offered on this system; starting again"), "the console does not say what follows: %s", r.tail())
			return nil
		})
	},
}

// failingExtension makes a sysext whose unit the system's last target upholds.
func (l *Lab) failingExtension(ctx context.Context, out string) error {
	tree := out + ".tree"
	upholds := filepath.Join(tree, unitFolder, "multi-user.target.upholds")
	err := errors.Join(
		writeTree(tree, unitFolder+failingUnit, []byte(failingText), 0o644),
		os.MkdirAll(upholds, 0o755),
		os.Symlink("../"+failingUnit, filepath.Join(upholds, failingUnit)))
	if err != nil {
		return err
	}
	return l.extension(ctx, out, "sysext", "failing", "site", 1, l.own(), tree)
}
