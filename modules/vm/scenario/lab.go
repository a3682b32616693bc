package scenario

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mastercard/mangos/modules/vm/disk"
	"github.com/mastercard/mangos/modules/vm/machine"
	"github.com/mastercard/mangos/modules/vm/rogue"
)

// Options say what a lab works with.
type Options struct {
	Release string // the release folder
	// Keys is a folder with keys and certificates of the roles secure-boot and verity: the
	// test extension is signed with the organisation's key, as its own extensions are, and so
	// is what somebody inside got signed. For try-out keys.
	Keys string
	// Work is an existing folder for copies of disks: a few GB.
	Work string
	// Logs, if set, is an existing folder that the consoles of all machines are kept in.
	Logs string
	// Probe is the static program that runs in the guest; Image the program that makes
	// extensions.
	Probe, Image string
	// Firmware and Variables are OVMF's code and its template of variables.
	Firmware, Variables string
	// Accel is chosen where it is empty.
	Accel machine.Accel
	// Patience multiplies all deadlines: 1 is for two idle processors.
	Patience float64
	// Note, if set, is told what is no row's verdict. Several goroutines call it.
	Note func(line string)
}

// Lab is what all scenarios of a run share. Its methods may be used by several goroutines
// once New has returned.
type Lab struct {
	Options
	Release *Release

	rogue       rogue.Keys        // named like the organisation
	certificate *x509.Certificate // verity
	disk        string            // the release's disk with the test extension on its ESP
	variables   map[machine.SecureBoot]string
}

// UUID is the identity of the machines.
const UUID = "6f1c5cd1-1f0e-4ab3-9d5a-5b0c6d3f2a91"

// New unpacks the release and puts the test extension onto its ESP.
func New(ctx context.Context, o Options) (*Lab, error) {
	l := &Lab{Options: o, variables: map[machine.SecureBoot]string{}}
	var err error
	if l.Release, err = OpenRelease(o.Release); err != nil {
		return nil, err
	}
	for _, program := range []*string{&l.Probe, &l.Image} {
		if *program, err = exec.LookPath(*program); err != nil {
			return nil, err
		}
	}
	if l.certificate, err = readCertificate(filepath.Join(o.Keys, "verity.crt")); err != nil {
		return nil, err
	}
	if l.rogue, err = rogue.Make(o.Work, "rogue", l.certificate.Subject); err != nil {
		return nil, err
	}
	if l.Accel == "" {
		l.Accel, _ = machine.PickAccel()
	}
	for _, sb := range []machine.SecureBoot{machine.Enforcing, machine.Disabled, machine.SetupMode} {
		l.variables[sb] = filepath.Join(o.Work, fmt.Sprintf("variables.%d", sb))
		if err := machine.MakeVariables(ctx, o.Variables, l.variables[sb], filepath.Join(o.Keys, "secure-boot.crt"), sb); err != nil {
			return nil, err
		}
	}
	l.disk = filepath.Join(o.Work, "disk.raw")
	if err := disk.Unpack(l.Release.Disk, l.disk); err != nil {
		return nil, err
	}
	return l, l.equip(ctx)
}

// equip puts the test extension onto the disk that all scenarios begin with.
func (l *Lab) equip(ctx context.Context) (err error) {
	extension := filepath.Join(l.Work, "test.sysext.raw")
	if err := l.testExtension(ctx, extension); err != nil {
		return err
	}
	img, err := disk.Open(l.disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	esp, err := img.ESP()
	if err != nil {
		return err
	}
	return esp.Put(ctx, extension, extensions+"/test.sysext.raw")
}

// extensions is the folder of the ESP that the gate takes extensions from.
const extensions = "/mangos/extensions"

// boot describes a power-on.
type boot struct {
	// vary changes the disk, a private copy of the release's. Nil leaves it as it is.
	vary func(context.Context, *disk.Image) error
	// secureBoot is the state of the firmware.
	secureBoot machine.SecureBoot
	// tpm names a TPM of the trial that keeps its state; empty is a new one.
	tpm string
	// machine changes the machine further.
	machine func(*machine.Config)
	// deadline, before patience; 0 is for a whole start.
	deadline time.Duration
}

const wholeStart = 5 * time.Minute

// with powers a machine on and lets use watch it; the machine is gone afterwards.
func (t *Trial) with(ctx context.Context, b boot, use func(*Run) error) error {
	for start := 1; ; start++ {
		stalled, err := t.power(ctx, b, start < maxStarts, use)
		if !stalled {
			return err
		}
	}
}

// power powers a machine on once. One that stalls is not used, if again says that it may be
// powered on again.
func (t *Trial) power(ctx context.Context, b boot, again bool, use func(*Run) error) (stalled bool, err error) {
	t.runs++
	name := fmt.Sprintf("%s.%d", t.Scenario.Name, t.runs)
	dir := filepath.Join(t.Lab.Work, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	c, err := t.config(ctx, b, dir)
	if err != nil {
		return false, err
	}
	m, err := machine.Start(ctx, c)
	if err != nil {
		return false, err
	}
	defer t.Lab.keepLog(dir, name)
	defer m.Close()
	if b.deadline == 0 {
		b.deadline = wholeStart
	}
	r := &Run{machine: m, deadline: time.After(time.Duration(float64(b.deadline) * t.Lab.Patience))}
	var expired bool
	if r.taken, stalled, expired = beginning(ctx, m.Events(), r.deadline); stalled && again {
		if t.Lab.Note != nil {
			t.Lab.Note("note " + name + ": the emulator stalled before the first program ran; powered on again")
		}
		return true, nil
	}
	if expired {
		past := make(chan time.Time)
		close(past)
		r.deadline = past
	}
	return false, use(r)
}

// Start powers on a machine with the release as it is. The caller ends it by calling stop.
func (l *Lab) Start(ctx context.Context) (m *machine.Machine, stop func(), err error) {
	t := &Trial{Lab: l, Scenario: &Scenario{Name: "run"}}
	dir := filepath.Join(l.Work, "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, nil, err
	}
	c, err := t.config(ctx, boot{}, dir)
	if err != nil {
		return nil, nil, err
	}
	if m, err = machine.Start(ctx, c); err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

// config makes the machine's disk, variables and TPM in dir.
func (t *Trial) config(ctx context.Context, b boot, dir string) (machine.Config, error) {
	c := machine.Config{
		Dir: dir, Firmware: t.Lab.Firmware, Variables: filepath.Join(dir, "variables"), TPM: filepath.Join(dir, "tpm"),
		Accel: t.Lab.Accel, UUID: UUID,
	}
	if b.tpm != "" {
		c.TPM = filepath.Join(t.Lab.Work, t.Scenario.Name+".tpm."+b.tpm)
	}
	if err := disk.Copy(t.Lab.variables[b.secureBoot], c.Variables); err != nil {
		return c, err
	}
	root := machine.Disk{Path: t.Lab.disk, Format: "raw", Snapshot: true}
	if b.vary != nil {
		root = machine.Disk{Path: filepath.Join(dir, "disk.raw"), Format: "raw"}
		if err := disk.Copy(t.Lab.disk, root.Path); err != nil {
			return c, err
		}
		if err := varied(ctx, root.Path, b.vary); err != nil {
			return c, err
		}
	}
	c.Disks = []machine.Disk{root}
	if b.machine != nil {
		b.machine(&c)
	}
	return c, nil
}

func varied(ctx context.Context, path string, vary func(context.Context, *disk.Image) error) (err error) {
	img, err := disk.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	return vary(ctx, img)
}

// keepLog copies a machine's console out of its folder. That it cannot be kept is no
// verdict on the machine.
func (l *Lab) keepLog(dir, name string) {
	if l.Logs == "" {
		return
	}
	if b, err := os.ReadFile(filepath.Join(dir, "console.log")); err == nil {
		os.WriteFile(filepath.Join(l.Logs, name+".console.log"), b, 0o644)
	}
}

// extension makes an extension of purpose "site" or another from the folder tree.
func (l *Lab) extension(ctx context.Context, out, class, name, purpose string, counter int, keys rogue.Keys, tree string) error {
	output, err := exec.CommandContext(ctx, l.Image, "extension", "--tree", tree, "--class", class, "--name", name,
		"--purpose", purpose, "--counter", fmt.Sprint(counter), "--reload", "--epoch", "1", "--key", keys.Key,
		"--certificate", keys.Certificate, "--out", out).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make extension %s: %w: %.500q", name, err, output)
	}
	return nil
}

// own are the organisation's keys for extensions.
func (l *Lab) own() rogue.Keys {
	return rogue.Keys{Key: filepath.Join(l.Keys, "verity.key"), Certificate: filepath.Join(l.Keys, "verity.crt")}
}

// ownPrograms are the organisation's keys for what the firmware starts.
func (l *Lab) ownPrograms() rogue.Keys {
	return rogue.Keys{Key: filepath.Join(l.Keys, "secure-boot.key"), Certificate: filepath.Join(l.Keys, "secure-boot.crt")}
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("read certificate: %s holds none", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", path, err)
	}
	return c, nil
}
