package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/rogue"
)

// entry has systemd-boot pass another command line. systemd-stub does not take it under
// Secure Boot; but systemd-boot measures it, and so the gate sees that somebody tried.
var entry = &Scenario{
	Name:    "boot-entry",
	About:   "a boot entry runs the signed kernel image with another command line",
	Rows:    []string{"boot-entry"},
	Minutes: 0.5,
	run: func(ctx context.Context, t *Trial) error {
		return t.with(ctx, boot{vary: t.Lab.putEntry, deadline: stopDeadline}, func(r *Run) error {
			r.until(ctx, Denied)
			expectStop("boot-entry", r, "pcr-12", t.Expect)
			t.Expect("boot-entry", !r.says(refusal("command-line")), "the command line was taken")
			return nil
		})
	},
}

// addOn brings a command line that the firmware accepts: somebody had an add-on signed with
// the organisation's key.
var addOn = &Scenario{
	Name:    "add-on",
	About:   "an add-on to the kernel image, signed with the organisation's own key, adds to the command line",
	Rows:    []string{"add-on"},
	Minutes: 0.7,
	run: func(ctx context.Context, t *Trial) error {
		b := boot{vary: t.Lab.putAddOn, deadline: stopDeadline}
		return t.with(ctx, b, func(r *Run) error {
			r.until(ctx, Denied)
			for _, word := range []string{"command-line", "pcr-12"} {
				expectStop("add-on", r, word, t.Expect)
			}
			return nil
		})
	},
}

// putAddOn puts the add-on where systemd-stub takes it from for every kernel image.
func (l *Lab) putAddOn(ctx context.Context, img *disk.Image) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	plain, signed := filepath.Join(l.Work, "plain.addon.efi"), filepath.Join(l.Work, "evil.addon.efi")
	if err := os.WriteFile(plain, rogue.AddOn(evilCommandLine), 0o600); err != nil {
		return err
	}
	if err := l.ownPrograms().SignEFI(ctx, plain, signed); err != nil {
		return err
	}
	return esp.Put(ctx, signed, "/loader/addons/evil.addon.efi")
}

// putEntry adds a boot entry that runs the signed UKI with another command line, makes it
// the default, and opens the menu's editor.
func (l *Lab) putEntry(ctx context.Context, img *disk.Image) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	uki, err := findUKI(ctx, esp)
	if err != nil {
		return err
	}
	entry := "title mangos\nefi " + uki + "\noptions init=/usr/bin/bash systemd.debug_shell=ttyS0 dm_verity.require_signatures=0 console=ttyS0\n"
	if err := esp.Write(ctx, "/loader/entries/evil.conf", []byte(entry)); err != nil {
		return err
	}
	return esp.Write(ctx, "/loader/loader.conf", []byte("default evil.conf\ntimeout 0\neditor yes\n"))
}

// findUKI returns the path of the one UKI on the ESP.
func findUKI(ctx context.Context, esp *disk.ESP) (string, error) {
	files, err := esp.List(ctx, "/EFI/Linux")
	if err != nil {
		return "", err
	}
	var found []string
	for _, f := range files {
		if strings.HasSuffix(strings.ToLower(f), ".efi") {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%w: %d unified kernel images on its ESP: %q", ErrRelease, len(found), found)
	}
	return found[0], nil
}
