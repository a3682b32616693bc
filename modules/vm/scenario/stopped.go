package scenario

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/machine"
)

// These machines must be switched off by the gate, before the root is mounted. It gives all
// of its reasons at once, so one boot can show several that do not hide each other.

const stopDeadline = 4 * time.Minute

// stop boots a machine that the gate must refuse, and wants one line for each word: the
// row of that word in rows.
func (t *Trial) stop(ctx context.Context, b boot, rows map[string]string) error {
	b.deadline = stopDeadline
	return t.with(ctx, b, func(r *Run) error {
		r.until(ctx, Denied)
		for row, word := range rows {
			expectStop(row, r, word, t.Expect)
		}
		return nil
	})
}

// expectStop wants the gate to have refused with word and switched the machine off.
func expectStop(row string, r *Run, word string, expect expect) {
	expect(row, r.Ending == PowerOff, "%s, but should: %s", r, PowerOff)
	expect(row, r.says("mangos: "+refusal(word)), "the gate did not refuse with [%s]: %s", word, r.tail())
	expect(row, !r.passedGate(), "the boot went on after the gate: %s", r.tail())
}

// passedGate tells whether anything shows that the boot went on after the gate.
func (r *Run) passedGate() bool {
	for _, text := range []string{"mangos: gate passed", "mangos: handed over", "Booting initrd", "sysroot.mount", "Welcome to"} {
		if r.says(text) {
			return true
		}
	}
	return false
}

var secureBootOff = &Scenario{
	Name:    "secure-boot-off",
	About:   "the firmware has the keys, but Secure Boot is off; a credential lies on the ESP beside the kernel image",
	Rows:    []string{"secure-boot-off", "esp-credential"},
	Minutes: 0.7,
	run: func(ctx context.Context, t *Trial) error {
		return t.stop(ctx, boot{secureBoot: machine.Disabled, vary: putCredential},
			map[string]string{"secure-boot-off": "secure-boot-off", "esp-credential": "pcr-12"})
	},
}

var setupMode = &Scenario{
	Name:    "setup-mode",
	About:   "the firmware has no keys; the machine has no TPM",
	Rows:    []string{"setup-mode", "no-tpm"},
	Minutes: 0.7,
	run: func(ctx context.Context, t *Trial) error {
		return t.stop(ctx, boot{secureBoot: machine.SetupMode, machine: func(c *machine.Config) { c.TPM = "" }},
			map[string]string{"setup-mode": "setup-mode", "no-tpm": "no-tpm"})
	},
}

// evilCommandLine is what attackers would add.
const evilCommandLine = "dm_verity.require_signatures=0 systemd.debug_shell=ttyS0 init=/usr/bin/bash rd.break systemd.import_credentials=yes"

var addedBySMBIOS = &Scenario{
	Name: "added",
	About: "SMBIOS adds to the command line, which systemd-stub allows under Secure Boot; the machine's UUID is a placeholder; " +
		"a system extension lies on the ESP where systemd-stub takes it from",
	Rows:    []string{"smbios-command-line", "smbios-measured", "placeholder-uuid", "stub-extension"},
	Minutes: 0.7,
	run: func(ctx context.Context, t *Trial) error {
		b := boot{vary: putStubExtension, machine: func(c *machine.Config) {
			c.OEMStrings = []string{"io.systemd.stub.kernel-cmdline-extra=" + evilCommandLine}
			c.UUID = strings.Repeat("0", 8) + "-0000-0000-0000-" + strings.Repeat("0", 12)
		}}
		return t.stop(ctx, b, map[string]string{
			"smbios-command-line": "command-line", "smbios-measured": "pcr-12",
			"placeholder-uuid": "machine-id", "stub-extension": "pcr-13",
		})
	},
}

// Each reason by itself must be enough.
var eachAlone = &Scenario{
	Name:    "each-alone",
	About:   "each of the reasons to stop, by itself",
	Rows:    []string{"smbios-require-signatures", "smbios-debug-shell", "smbios-init", "placeholder-uuid", "esp-credential", "stub-extension", "no-tpm"},
	Minutes: 6,
	Full:    true,
	run: func(ctx context.Context, t *Trial) error {
		smbios := func(text string) func(*machine.Config) {
			return func(c *machine.Config) {
				c.OEMStrings = []string{"io.systemd.stub.kernel-cmdline-extra=" + text}
			}
		}
		for _, s := range []struct {
			row, word string
			boot      boot
		}{
			{"smbios-require-signatures", "command-line", boot{machine: smbios("dm_verity.require_signatures=0")}},
			{"smbios-debug-shell", "command-line", boot{machine: smbios("systemd.debug_shell=ttyS0")}},
			{"smbios-init", "command-line", boot{machine: smbios("init=/usr/bin/bash")}},
			// A UUID that a vendor left in many boards.
			{"placeholder-uuid", "machine-id", boot{machine: func(c *machine.Config) { c.UUID = "03000200-0400-0500-0006-000700080009" }}},
			{"esp-credential", "pcr-12", boot{vary: putCredential}},
			{"stub-extension", "pcr-13", boot{vary: putStubExtension}},
			{"no-tpm", "no-tpm", boot{machine: func(c *machine.Config) { c.TPM = "" }}},
		} {
			if err := t.stop(ctx, s.boot, map[string]string{s.row: s.word}); err != nil {
				return err
			}
		}
		return nil
	},
}

// putCredential puts a credential where systemd-stub takes it from for every kernel image.
func putCredential(ctx context.Context, img *disk.Image) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	return esp.Write(ctx, "/loader/credentials/passwd.hashed-password.root.cred", []byte("evil"))
}

// putStubExtension puts a system extension where systemd-stub takes it from for the kernel
// image.
func putStubExtension(ctx context.Context, img *disk.Image) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	uki, err := findUKI(ctx, esp)
	if err != nil {
		return err
	}
	// systemd-stub looks without the boot counter, which changes with each start.
	name, _, _ := strings.Cut(strings.TrimSuffix(uki, ".efi"), "+")
	return esp.Write(ctx, path.Join(name+".efi.extra.d", "evil.sysext.raw"), []byte("evil"))
}
