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
	"github.com/mastercard/mangos/modules/vm/probe"
)

// system boots the release as it is, with an extension as an operator would add one; then
// the same machine once more, after somebody has put everything onto it that must not
// matter.
var system = &Scenario{
	Name: "system",
	About: "the release starts under Secure Boot from a verified root and is what it claims to be; " +
		"started again with hidden hypervisor, foreign credentials, extensions and /var it takes none of them; " +
		"with its organisation's extension taken away it does not start",
	Rows: slices.Concat(firstRows, ignoredRows, []string{"extension-removed"}),
	// Two whole starts, and one that ends early.
	Minutes: 3.7,
	run:     runSystem,
}

// firstRows are decided by the first start.
var firstRows = slices.Concat(healthyRows, []string{"extension", "kernel-wants-signature", "efi-partition", "power-off"})

// ignoredRows are decided by the second start.
var ignoredRows = []string{
	"hidden-hypervisor", "programs-resigned", "smbios-credentials", "fw-cfg-credentials", "plaintext-var",
	"extension-good", "extension-unsigned", "extension-foreign", "extension-corrupt", "extension-folder",
	"extension-mutable", "extension-renamed", "extension-replayed", "extension-debug", "extension-org-purpose",
	"extension-org", "sysext-foreign",
	"planted-folder", "planted-image", "planted-mutable", "planted-sysext-folder", "planted-sysext-image",
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
	t.stage([]string{"extension-removed"}, func() error { return t.thirdStart(ctx) })
	return nil
}

// thirdStart takes away the organisation's extension, which the machine's TPM has seen.
func (t *Trial) thirdStart(ctx context.Context) error {
	return t.with(ctx, boot{tpm: "kept"}, func(r *Run) error {
		r.until(ctx)
		t.ExpectEnding("extension-removed", r, Reset)
		t.Expect("extension-removed", r.says("a required extension is missing: confext org"), "the console does not name the extension: %s", r.tail())
		return nil
	})
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
		return errors.Join(t.Lab.addPlaintext(ctx, img, gpt.TypeVar), t.Lab.resignOwn(ctx, img))
	}}
	return t.with(ctx, second, func(r *Run) error {
		facts, err := t.report(ctx, r, "hidden-hypervisor")
		if err != nil {
			return err
		}
		t.ExpectEnding("programs-resigned", r, Ready)
		t.Expect("extension-replayed", !r.says(noCounters), "the machine forgot its counters")
		// All of what a healthy machine shows must show here, too.
		checkHealthy(facts, t.Lab.want(false), func(_ string, ok bool, format string, args ...any) {
			t.Expect("hidden-hypervisor", ok, format, args...)
		})
		checkCredentials(facts, r, t.Expect)
		if err := t.expectOffered(ctx, r); err != nil {
			return err
		}
		reply, err := r.ask(ctx, probe.List, generated)
		if err != nil {
			return err
		}
		checkPlaintext(facts, reply.Names, func(other string, ok bool, format string, args ...any) {
			t.Expect("plaintext-var", ok, other+": "+format, args...)
		})
		if err := pack.check(ctx, t, r); err != nil {
			return err
		}
		return t.checkPlanted(ctx, r)
	})
}
