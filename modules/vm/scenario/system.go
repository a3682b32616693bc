package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/machine"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// system boots the release as it is, with an extension as an operator would add one; then
// the same machine once more, after somebody has put everything onto it that must not
// matter.
var system = &Scenario{
	Name: "system",
	About: "the release starts under Secure Boot from a verified root and is what it claims to be; " +
		"started again with hidden hypervisor, foreign credentials, extensions and /var it takes none of them",
	Rows: slices.Concat(firstRows, ignoredRows),
	// Two whole starts.
	Minutes: 3,
	run:     runSystem,
}

// firstRows are decided by the first start.
var firstRows = slices.Concat(healthyRows, []string{"extension", "kernel-wants-signature", "efi-partition", "power-off"})

// ignoredRows are decided by the second start.
var ignoredRows = []string{
	"hidden-hypervisor", "smbios-credentials", "fw-cfg-credentials", "plaintext-var", "plaintext-tmp", "plaintext-swap",
	"extension-good", "extension-unsigned", "extension-foreign", "extension-corrupt", "extension-folder",
	"extension-mutable", "extension-renamed", "extension-replayed", "extension-debug", "extension-org-purpose",
	"planted-folder", "planted-image", "planted-mutable",
}

func runSystem(ctx context.Context, t *Trial) error {
	sample := filepath.Join(t.Lab.Work, "system.sample.raw")
	if err := t.Lab.markExtension(ctx, sample, mark{name: "sample", purpose: "site", counter: 7, mark: "sample", content: "seven"}); err != nil {
		return err
	}
	first := boot{tpm: "kept", vary: func(ctx context.Context, img *disk.Image) error {
		return putAll(ctx, img, map[string]string{sample: extensions + "/sample.confext.raw"})
	}}
	t.stage(firstRows, func() error {
		return t.with(ctx, first, func(r *Run) error { return t.firstStart(ctx, r) })
	})
	t.stage(ignoredRows, func() error { return t.secondStart(ctx) })
	return nil
}

func (t *Trial) firstStart(ctx context.Context, r *Run) error {
	facts, err := t.report(ctx, r, "starts")
	if err != nil {
		return err
	}
	checkHealthy(facts, t.Lab.want(true), t.Expect)
	t.Expect("starts", r.says("mangos: gate passed"), "the gate did not say that it passed")
	t.expectMark(ctx, r, "extension", "sample", "seven")
	t.Expect("extension", r.says(noCounters), "the machine does not say that its TPM is new")
	checkConfext(facts, t.Expect)
	t.expectKernelWantsSignature(ctx, r)
	// Who generates units of partitions is at work: else it would prove nothing that none
	// is generated of another one.
	reply, err := r.ask(ctx, probe.List, generated)
	if err != nil {
		return err
	}
	t.Expect("efi-partition", slices.ContainsFunc(reply.Names, isAutomount), "systemd-gpt-auto-generator made no unit for it: %q", reply.Names)
	return t.powerOff(ctx, r, "power-off")
}

// checkConfext wants configuration to be merged such that nothing in it can be run:
// programs come in an extension of their own kind.
func checkConfext(f *probe.Facts, expect expect) {
	m, err := mountOf(f.Mounts, "/etc")
	expect("extension", err == nil, "configuration is not merged: %v %s", err, f.Errors["mounts"])
	expect("extension", err != nil || m.has("noexec") && m.has("ro"), "/etc is mounted %q", m.options)
}

// expectKernelWantsSignature wants the kernel to open the root's partitions with the
// signature of the root hash, and to refuse them without: whatever the gate does before.
func (t *Trial) expectKernelWantsSignature(ctx context.Context, r *Run) {
	const row = "kernel-wants-signature"
	_, err := r.ask(ctx, probe.OpenSigned, "")
	t.Expect(row, err == nil, "with the signature: %v", err)
	_, err = r.ask(ctx, probe.OpenUnsigned, "")
	t.Expect(row, errors.Is(err, ErrGuest) && strings.Contains(err.Error(), "key"), "without the signature: %v, want a complaint about a key", err)
}

// want is what a machine of this lab must be.
func (l *Lab) want(virtual bool) want {
	return want{commandLine: l.Release.CommandLine, uuid: UUID, certificate: l.certificate, phases: l.Release.Phases, virtual: virtual}
}

// report waits for the probe and asks it for the facts; row tells whether it came.
func (t *Trial) report(ctx context.Context, r *Run, row string) (*probe.Facts, error) {
	r.until(ctx)
	if !t.ExpectEnding(row, r, Ready) {
		return nil, fmt.Errorf("no start: %s: %s", r, r.tail())
	}
	reply, err := r.ask(ctx, probe.Report, "")
	if err != nil {
		return nil, err
	}
	if reply.Facts == nil {
		return nil, fmt.Errorf("%w: a report without facts", probe.ErrMalformed)
	}
	return reply.Facts, nil
}

// powerOff ends the machine in order.
func (t *Trial) powerOff(ctx context.Context, r *Run, row string) error {
	if _, err := r.ask(ctx, probe.PowerOff, ""); err != nil && r.Ending != PowerOff {
		return err
	}
	if r.Ending != PowerOff {
		r.until(ctx)
	}
	t.ExpectEnding(row, r, PowerOff)
	return nil
}

// expectMark wants a configuration extension to have put content under markFolder.
func (t *Trial) expectMark(ctx context.Context, r *Run, row, name, content string) {
	reply, err := r.ask(ctx, probe.Read, markFolder+"/"+name)
	t.Expect(row, err == nil && string(reply.Content) == content, "%s/%s holds %q, want %q (%v)", markFolder, name, reply.Content, content, err)
}

func putAll(ctx context.Context, img *disk.Image, files map[string]string) error {
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	for from, to := range files {
		if err := esp.Put(ctx, from, to); err != nil {
			return err
		}
	}
	return nil
}

// credentialMark is what only an attacker's credentials bring to the console.
const credentialMark = "mangos-evil-credential" //nolint:gosec // no credential of anything

// evilUnit is a unit, as a credential, that shows itself on the console.
func evilUnit(from string) string {
	return "[Unit]\nDescription=" + credentialMark + " by " + from + "\n[Service]\nType=oneshot\nExecStart=/usr/bin/cat /etc/os-release\nStandardOutput=tty\nRemainAfterExit=yes\n[Install]\nWantedBy=multi-user.target\n"
}

// hardwareBIOS is the SMBIOS structure of type 0 of a machine of iron (SMBIOS 3.7,
// 7.1): QEMU's own says in its characteristics that the system is virtual.
var hardwareBIOS = slices.Concat(
	[]byte{0, 24, 0, 0},            // type, length, handle
	[]byte{1, 2, 0, 0xe8, 3, 0},    // vendor, version, start segment, date, size
	[]byte{8, 0, 0, 0, 0, 0, 0, 0}, // characteristics: not given
	[]byte{0, 8},                   // extension: UEFI
	[]byte{1, 0, 0xff, 0xff},       // releases of BIOS and controller
	[]byte("ACME\x001\x0001/01/2026\x00\x00"),
)

// hide makes a virtual machine look like hardware to systemd-detect-virt, and brings
// credentials by both roads.
func hide(c *machine.Config) {
	c.Features = append(c.Features, "-hypervisor")
	c.SMBIOSTables = append(c.SMBIOSTables, hardwareBIOS)
	c.SMBIOS = append(c.SMBIOS, "type=1,manufacturer=ACME,product=Anvil,version=1",
		"type=2,manufacturer=ACME,product=Board", "type=3,manufacturer=ACME")
	c.OEMStrings = append(c.OEMStrings,
		"io.systemd.credential:passwd.plaintext-password.root=evil",
		"io.systemd.credential:systemd.unit-dropin.multi-user.target=[Unit]\nWants=evil-smbios.service\n",
		"io.systemd.credential:systemd.extra-unit.evil-smbios.service="+evilUnit("SMBIOS"))
	// The names of fw_cfg are too short for a unit's.
	c.FirmwareFiles = map[string]string{
		"opt/io.systemd.credentials/passwd.hashed-password.root": "",
		"opt/io.systemd.credentials/tmpfiles.extra":              "w /dev/console - - - - " + credentialMark + " by fw_cfg\\n\n",
	}
}

// noCounters is said of a TPM that no extension's counter was noted in.
const noCounters = "since its TPM was made or cleared"

// secondStart takes the machine of the first one, with its TPM.
func (t *Trial) secondStart(ctx context.Context) error {
	pack, err := t.makePack(ctx)
	if err != nil {
		return err
	}
	second := boot{tpm: "kept", machine: hide, vary: func(ctx context.Context, img *disk.Image) error {
		if err := pack.put(ctx, img); err != nil {
			return err
		}
		return t.Lab.addPlaintext(ctx, img, gpt.TypeVar, gpt.TypeTmp, gpt.TypeSwap)
	}}
	return t.with(ctx, second, func(r *Run) error {
		facts, err := t.report(ctx, r, "hidden-hypervisor")
		if err != nil {
			return err
		}
		t.Expect("extension-replayed", !r.says(noCounters), "the machine forgot its counters")
		// All of what a healthy machine shows must show here, too.
		checkHealthy(facts, t.Lab.want(false), func(_ string, ok bool, format string, args ...any) {
			t.Expect("hidden-hypervisor", ok, format, args...)
		})
		checkCredentials(facts, r, t.Expect)
		reply, err := r.ask(ctx, probe.List, generated)
		if err != nil {
			return err
		}
		checkPlaintext(facts, reply.Names, t.Expect)
		if err := pack.check(ctx, t, r); err != nil {
			return err
		}
		return t.checkPlanted(ctx, r)
	})
}

func checkCredentials(f *probe.Facts, r *Run, expect expect) {
	for row, from := range map[string]string{"smbios-credentials": "SMBIOS", "fw-cfg-credentials": "fw_cfg"} {
		expect(row, !r.says(credentialMark+" by "+from), "a unit from %s ran", from)
		expect(row, len(f.Credentials) == 0 && f.Errors["credentials"] == "", "imported: %q %s", f.Credentials, f.Errors["credentials"])
		expect(row, f.RootPassword == "locked" || f.RootPassword == "none", "root's password is %s", f.RootPassword)
	}
}
