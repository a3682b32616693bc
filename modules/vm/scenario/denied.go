package scenario

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/rogue"
)

const bootLoader = "/EFI/BOOT/BOOTX64.EFI"

// programs changes the signature of an EFI program on the ESP and wants the firmware to
// refuse it. It needs no more of the machine than its firmware.
var programs = &Scenario{
	Name:    "programs",
	About:   "the kernel image, and the boot loader, signed with another key and not signed at all",
	Rows:    []string{"kernel-image-foreign", "kernel-image-unsigned", "boot-loader-foreign", "boot-loader-unsigned"},
	Minutes: 1,
	run: func(ctx context.Context, t *Trial) error {
		for _, c := range []struct {
			row     string
			loader  bool
			foreign bool
		}{
			{"kernel-image-foreign", false, true}, {"kernel-image-unsigned", false, false},
			{"boot-loader-foreign", true, true}, {"boot-loader-unsigned", true, false},
		} {
			b := boot{deadline: 2 * time.Minute, vary: func(ctx context.Context, img *disk.Image) error {
				return t.resign(ctx, img, c.loader, c.foreign)
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

// resign takes the signature off an EFI program of the ESP, and puts a rogue one on it if
// foreign.
func (t *Trial) resign(ctx context.Context, img *disk.Image, loader, foreign bool) error {
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
	if !foreign {
		return esp.Put(ctx, stripped, name)
	}
	if err := t.Lab.rogue.SignEFI(ctx, stripped, signed); err != nil {
		return err
	}
	return esp.Put(ctx, signed, name)
}
