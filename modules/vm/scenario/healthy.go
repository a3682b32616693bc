package scenario

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mastercard/mangos/modules/vm/eventlog"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// expect is Trial.Expect, or a test's stand-in for it.
type expect func(row string, ok bool, format string, args ...any)

// healthyRows are the rows that checkHealthy decides.
var healthyRows = []string{
	"starts", "secure-boot", "verified-root", "keyring", "read-only", "packages", "machine-id",
	"command-line", "no-credentials", "no-shell", "no-modules-no-swap", "pcr-11",
}

// want is what a healthy machine's facts are held against.
type want struct {
	commandLine string
	uuid        string // the machine's DMI UUID
	certificate *x509.Certificate
	phases      []Phase
	virtual     bool // systemd must see that it runs in a virtual machine
}

// checkHealthy holds the facts of a started machine against what they must be.
func checkHealthy(f *probe.Facts, w want, expect expect) {
	checkStart(f, expect)
	checkSecureBoot(f, expect)
	checkRoot(f, w, expect)
	checkKeyring(f, w, expect)
	checkWrites(f, expect)
	checkPackages(f, expect)
	id := strings.ToLower(strings.ReplaceAll(w.uuid, "-", ""))
	expect("machine-id", f.MachineID == id, "machine id %q, but the DMI UUID is %q", f.MachineID, w.uuid)
	expect("machine-id", (f.Virtual != "none") == w.virtual, "systemd-detect-virt says %q", f.Virtual)
	checkCommandLine(f, w.commandLine, expect)
	expect("no-credentials", f.Errors["credentials"] == "" && len(f.Credentials) == 0, "imported: %q %s", f.Credentials, f.Errors["credentials"])
	checkShells(f, expect)
	expect("no-modules-no-swap", f.Modules == "none", "/proc/modules: %q %s", f.Modules, f.Errors["modules"])
	expect("no-modules-no-swap", f.Errors["swaps"] == "" && strings.Count(f.Swaps, "\n") == 0, "swaps: %q %s", f.Swaps, f.Errors["swaps"])
	checkPCR11(f, w.phases, expect)
}

// checkCommandLine wants the built-in command line, and what it says to hold: nothing
// that ran since has changed the answer to a panic or the consoles.
func checkCommandLine(f *probe.Facts, built string, expect expect) {
	const row, panicTime, active = "command-line", "/proc/sys/kernel/panic", "/sys/class/tty/console/active"
	expect(row, f.CommandLine == built, "command line %q, built in is %q", f.CommandLine, built)
	seconds := option(built, "panic")
	expect(row, seconds != "" && f.Parameters[panicTime] == seconds, "after a panic %q seconds pass, built in is %q %s", f.Parameters[panicTime], seconds, f.Errors[panicTime])
	have, want := strings.Fields(f.Parameters[active]), consoles(built)
	slices.Sort(have)
	expect(row, len(want) > 0 && slices.Equal(have, want), "active consoles %q, built in are %q %s", have, want, f.Errors[active])
}

// consoles returns the names of the consoles on a command line, sorted.
func consoles(line string) []string {
	var names []string
	for _, word := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(word, "console="); ok {
			name, _, _ := strings.Cut(value, ",")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func checkStart(f *probe.Facts, expect expect) {
	expect("starts", f.State == "running", "systemctl is-system-running says %q %s", f.State, f.Errors["state"])
	expect("starts", f.Errors["failed"] == "" && len(f.Failed) == 0, "failed units: %q %s", f.Failed, f.Errors["failed"])
	expect("starts", f.Errors["jobs"] == "" && len(f.Jobs) == 0, "jobs that wait: %q %s", f.Jobs, f.Errors["jobs"])
}

func checkSecureBoot(f *probe.Facts, expect expect) {
	expect("secure-boot", string(f.SecureBoot) == "\x01", "variable SecureBoot is %x %s", f.SecureBoot, f.Errors["secureBoot"])
	expect("secure-boot", string(f.SetupMode) == "\x00", "variable SetupMode is %x %s", f.SetupMode, f.Errors["setupMode"])
	locked := strings.Contains(f.Lockdown, "[integrity]") || strings.Contains(f.Lockdown, "[confidentiality]")
	expect("secure-boot", locked, "lockdown is %q %s", f.Lockdown, f.Errors["lockdown"])
}

// checkRoot wants the root to be an erofs on a verity device whose root hash is the one on
// the command line, whose signature the kernel was given (which it refuses to do without),
// and that panics on corruption.
func checkRoot(f *probe.Facts, w want, expect expect) {
	m, err := mountOf(f.Mounts, "/")
	expect("verified-root", err == nil, "%v %s", err, f.Errors["mounts"])
	expect("verified-root", m.kind == "erofs", "the root is %q", m.kind)
	expect("verified-root", m.has("ro"), "the root is mounted %q", m.options)
	hash := option(w.commandLine, "roothash")
	expect("verified-root", len(hash) == 64, "no root hash on the command line")
	i := slices.IndexFunc(f.Devices, func(d probe.Device) bool { return d.Name == "root" })
	expect("verified-root", i >= 0 && path.Base(m.source) == "root", "no device-mapper device under the root %q: %v %s", m.source, f.Devices, f.Errors["devices"])
	if i < 0 {
		return
	}
	table := strings.Fields(f.Devices[i].Table)
	expect("verified-root", len(table) > 0 && table[0] == "verity", "the root's device is %q", table)
	for _, word := range []string{hash, "panic_on_corruption", "root_hash_sig_key_desc"} {
		expect("verified-root", slices.Contains(table, word), "the root's verity table has no %q: %q", word, table)
	}
	expect("verified-root", strings.TrimSpace(f.Devices[i].Status) == "verity V", "the root's verity status is %q", f.Devices[i].Status)
	const parameter = "/sys/module/dm_verity/parameters/require_signatures"
	expect("verified-root", f.Parameters[parameter] == "Y", "%s is %q %s", parameter, f.Parameters[parameter], f.Errors[parameter])
}

// checkKeyring wants the organisation's certificate to be the only asymmetric key that the
// kernel knows: /proc/keys shows its subject and the end of its key identifier.
func checkKeyring(f *probe.Facts, w want, expect expect) {
	var found, others []string
	id := hex.EncodeToString(keyIdentifier(w.certificate))
	for line := range strings.Lines(f.Keys) {
		fields := strings.Fields(line)
		if len(fields) < 8 || fields[7] != "asymmetri" {
			continue
		}
		text := strings.Join(fields[8:], " ")
		// "<subject>: X509.rsa <last four bytes of the identifier> []"
		if strings.Contains(text, "X509.rsa "+id[max(0, len(id)-8):]) {
			found = append(found, text)
		} else {
			others = append(others, text)
		}
	}
	expect("keyring", len(found) == 1, "%d keys with the organisation's identifier %s, other keys %q %s", len(found), id, others, f.Errors["keys"])
	expect("keyring", len(others) == 0, "keys that are not the organisation's: %q", others)
	for _, ring := range []string{".secondary_trusted_keys", ".platform", ".machine"} {
		expect("keyring", !strings.Contains(f.Keys, " "+ring+":"), "the kernel has the keyring %s", ring)
	}
}

// keyIdentifier is what the kernel identifies a certificate's key by.
func keyIdentifier(c *x509.Certificate) []byte {
	if len(c.SubjectKeyId) > 0 {
		return c.SubjectKeyId
	}
	// Without the extension: serial number, then subject.
	return c.RawSubject
}

func checkWrites(f *probe.Facts, expect expect) {
	for _, folder := range []string{"/", "/etc", "/usr"} {
		e, tried := f.Writes[folder]
		expect("read-only", tried && strings.Contains(e, "read-only file system"), "writing to %s: %q", folder, e)
	}
}

func checkPackages(f *probe.Facts, expect expect) {
	expect("packages", f.Errors["packages"] == "" && len(f.Packages) >= 50, "%d packages %s", len(f.Packages), f.Errors["packages"])
	expect("packages", f.Errors["dpkg"] == "", "dpkg -l: %s", f.Errors["dpkg"])
	for _, p := range f.Packages {
		expect("packages", strings.HasPrefix(p, "ii "), "package %q is not installed in order", p)
	}
}

// checkShells wants nobody to be waiting for commands, the kernel included.
func checkShells(f *probe.Facts, expect expect) {
	for _, p := range f.Processes {
		name := path.Base(p.Program)
		bad := slices.Contains([]string{"sh", "bash", "dash", "zsh", "busybox", "agetty", "getty", "login", "sulogin", "sshd"}, name)
		expect("no-shell", !bad, "process %d runs %s", p.PID, p.Program)
	}
	expect("no-shell", len(f.Processes) > 0, "no processes were seen: %s", f.Errors["processes"])
	const keys = "/proc/sys/kernel/sysrq"
	expect("no-shell", strings.Contains(f.Errors[keys], "no such file"), "the kernel takes commands from the keyboard: %s is %q %s", keys, f.Parameters[keys], f.Errors[keys])
	expect("no-shell", f.RootPassword == "locked" || f.RootPassword == "none", "root's password is %s %s", f.RootPassword, f.Errors["rootPassword"])
}

// bootPhases are all that systemd measures (systemd-pcrphase.service(8)).
var bootPhases = []string{
	"enter-initrd", "enter-initrd:leave-initrd", "enter-initrd:leave-initrd:sysinit", "enter-initrd:leave-initrd:sysinit:ready",
}

// checkPCR11 wants the register to have had, after each phase, the value that the release
// announces. What the logs say counts because replaying them gives the register's value.
func checkPCR11(f *probe.Facts, phases []Phase, expect expect) {
	const row = "pcr-11"
	firmware, err := eventlog.Firmware(f.FirmwareLog)
	expect(row, err == nil, "%v %s", err, f.Errors["firmwareLog"])
	system, err2 := eventlog.System([]byte(f.SystemLog))
	expect(row, err2 == nil, "%v %s", err2, f.Errors["systemLog"])
	if err != nil || err2 != nil {
		return
	}
	steps := eventlog.Replay(11, append(firmware, system...))
	if len(steps) == 0 {
		expect(row, false, "nothing was measured into PCR 11")
		return
	}
	last := hex.EncodeToString(steps[len(steps)-1].Value[:])
	expect(row, f.PCR["11"] == last, "PCR 11 is %s, its logs give %s", f.PCR["11"], last)
	expect(row, len(phases) == len(bootPhases), "%d values are announced, for the phases %q there are %d", len(phases), bootPhases, len(bootPhases))
	for i, p := range phases {
		expect(row, i < len(bootPhases) && p.Phase == bootPhases[i], "a value is announced for %q, want %q in this order", p.Phase, bootPhases)
	}
	// The phases are the last events.
	if len(steps) < len(phases) {
		expect(row, false, "%d measurements, %d phases", len(steps), len(phases))
		return
	}
	steps = steps[len(steps)-len(phases):]
	for i, p := range phases {
		word := path.Base(strings.ReplaceAll(p.Phase, ":", "/"))
		value := hex.EncodeToString(steps[i].Value[:])
		expect(row, steps[i].Digest == sha256.Sum256([]byte(word)), "measurement %d is not the phase %q", i, word)
		expect(row, value == p.Value, "after %s PCR 11 was %s, announced is %s", p.Phase, value, p.Value)
	}
	expect(row, f.PCR["11"] == phases[len(phases)-1].Value, "PCR 11 is %s, announced is %s", f.PCR["11"], phases[len(phases)-1].Value)
	zero := strings.Repeat("0", 64)
	for _, register := range []string{"12", "13"} {
		expect(row, f.PCR[register] == zero, "PCR %s is %s", register, f.PCR[register])
	}
}

// mount is a line of /proc/self/mountinfo.
type mount struct{ source, kind, options string }

func (m mount) has(option string) bool {
	return slices.Contains(strings.Split(m.options, ","), option)
}

// mountOf finds the last mount at a path (proc(5)).
func mountOf(mountinfo, at string) (mount, error) {
	var m mount
	found := false
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 || left[4] != at {
			continue
		}
		found = true
		m = mount{kind: right[0], source: right[1], options: left[5] + "," + right[2]}
	}
	if !found {
		return m, fmt.Errorf("nothing is mounted at %s", at)
	}
	return m, nil
}

// option returns the value of an option on a command line, or "".
func option(line, name string) string {
	for _, word := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value
		}
	}
	return ""
}
