package scenario

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/rogue"
)

const bootLoader = "/EFI/BOOT/BOOTX64.EFI"

// programs changes the signature of an EFI program on the ESP and wants the firmware to
// refuse it. It needs no more of the machine than its firmware. That one whose signature is
// changed in this way, to another good one, is taken is shown by the second start of "system".
var programs = &Scenario{
	Name:    "programs",
	About:   "the kernel image, and the boot loader, signed with another key and not signed at all",
	Rows:    []string{"kernel-image-foreign", "kernel-image-unsigned", "boot-loader-foreign", "boot-loader-unsigned"},
	Minutes: 1,
	run: func(ctx context.Context, t *Trial) error {
		for _, c := range []struct {
			row    string
			loader bool
			keys   *rogue.Keys
		}{
			{"kernel-image-foreign", false, &t.Lab.rogue}, {"kernel-image-unsigned", false, nil},
			{"boot-loader-foreign", true, &t.Lab.rogue}, {"boot-loader-unsigned", true, nil},
		} {
			b := boot{deadline: 2 * time.Minute, vary: func(ctx context.Context, img *disk.Image) error {
				return resign(ctx, img, c.loader, c.keys)
			}}
			err := t.with(ctx, b, func(r *Run) error {
				r.until(ctx)
				expectDenied(c.row, r, t.Expect)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	},
}

// expectDenied wants the firmware to have refused a program, and no kernel to have run.
func expectDenied(row string, r *Run, expect expect) {
	expect(row, r.Ending == Denied, "%s, but should: %s", r, Denied)
	for _, line := range r.Lines {
		started := strings.Contains(line, "EFI stub:") || strings.Contains(line, "Linux version")
		expect(row, !started, "the kernel ran: %q", line)
	}
}

// resignOwn signs boot loader and kernel image once more with the organisation's key.
func (l *Lab) resignOwn(ctx context.Context, img *disk.Image) error {
	own := l.ownPrograms()
	return errors.Join(resign(ctx, img, true, &own), resign(ctx, img, false, &own))
}

// resign takes the signature off an EFI program of the ESP, and puts one by the keys on it,
// if there are any.
func resign(ctx context.Context, img *disk.Image, loader bool, keys *rogue.Keys) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	name := bootLoader
	if !loader {
		if name, err = findUKI(ctx, esp); err != nil {
			return err
		}
	}
	work := filepath.Join(filepath.Dir(img.Path), "program")
	stripped, signed := work+".stripped", work+".signed"
	if err := esp.Get(ctx, name, work); err != nil {
		return err
	}
	if err := rogue.Strip(ctx, work, stripped); err != nil {
		return err
	}
	if keys == nil {
		return esp.Put(ctx, stripped, name)
	}
	if err := keys.SignEFI(ctx, stripped, signed); err != nil {
		return err
	}
	return esp.Put(ctx, signed, name)
}
