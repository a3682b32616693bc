package guest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/vm/probe"
)

const (
	efiGlobal  = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
	maxLog     = 1 << 20 // of the firmware's event log
	maxText    = 1 << 20 // of any other file
	pcrs       = 24
	settleTime = 10 * time.Minute // the harness's own deadline is shorter
)

// parameters are the files below /sys and /proc that tell how the kernel was told to behave.
var parameters = []string{
	"/sys/module/dm_verity/parameters/require_signatures",
	"/proc/sys/kernel/sysrq",
	"/proc/sys/kernel/panic",
	"/sys/class/tty/console/active",
}

// writable are the folders in which the probe tries to make a file.
var writable = []string{"/", "/etc", "/usr", "/usr/lib"}

// collector fills facts and keeps what went wrong.
type collector struct {
	root  string
	facts *probe.Facts
}

func (c *collector) failed(field string, err error) {
	if err != nil {
		c.facts.Errors[field] = err.Error()
	}
}

// facts waits until the system has started, or failed to, and reports on it.
func (g *Guest) facts() *probe.Facts {
	f := &probe.Facts{Errors: map[string]string{}, PCR: map[string]string{}, Parameters: map[string]string{}, Writes: map[string]string{}}
	c := &collector{root: g.Root, facts: f}
	// is-system-running exits with an error in every state but "running".
	state, err := run("systemctl", "is-system-running", "--wait")
	if f.State = strings.TrimSpace(state); f.State == "" {
		c.failed("state", err)
	}
	c.text("commandLine", &f.CommandLine, "/proc/cmdline")
	c.text("machineId", &f.MachineID, "/etc/machine-id")
	c.text("lockdown", &f.Lockdown, "/sys/kernel/security/lockdown")
	c.text("mounts", &f.Mounts, "/proc/self/mountinfo")
	c.text("swaps", &f.Swaps, "/proc/swaps")
	c.text("keys", &f.Keys, "/proc/keys")
	c.text("systemLog", &f.SystemLog, "/run/log/systemd/tpm2-measure.log")
	c.variable("secureBoot", &f.SecureBoot, "SecureBoot")
	c.variable("setupMode", &f.SetupMode, "SetupMode")
	c.firmwareLog()
	c.kernel()
	c.units()
	c.credentials()
	c.writes()
	c.processes()
	c.rootPassword()
	f.Devices, err = devices(c.root)
	c.failed("devices", err)
	return f
}

func (c *collector) path(p string) string { return filepath.Join(c.root, p) }

func (c *collector) text(field string, to *string, path string) {
	b, err := read(c.path(path), maxText)
	*to = strings.TrimRight(string(b), "\n")
	c.failed(field, err)
}

// variable reads an EFI variable of the UEFI specification; four bytes of attributes come first.
func (c *collector) variable(field string, to *[]byte, name string) {
	b, err := read(c.path("/sys/firmware/efi/efivars/"+name+"-"+efiGlobal), maxText)
	if err == nil && len(b) < 4 {
		err = fmt.Errorf("variable %s: %d bytes", name, len(b))
	}
	if err == nil {
		*to = b[4:]
	}
	c.failed(field, err)
}

func (c *collector) firmwareLog() {
	b, err := read(c.path("/sys/kernel/security/tpm0/binary_bios_measurements"), maxLog)
	c.facts.FirmwareLog = b
	c.failed("firmwareLog", err)
	for i := range pcrs {
		b, err := read(c.path(fmt.Sprintf("/sys/class/tpm/tpm0/pcr-sha256/%d", i)), maxText)
		sum := strings.ToLower(strings.TrimSpace(string(b)))
		if _, e := hex.DecodeString(sum); err == nil && e != nil {
			err = e
		}
		c.facts.PCR[strconv.Itoa(i)] = sum
		c.failed("pcr", err)
	}
}

func (c *collector) kernel() {
	f := c.facts
	if b, err := read(c.path("/proc/modules"), maxText); errors.Is(err, os.ErrNotExist) {
		f.Modules = "none"
	} else {
		f.Modules = string(b)
		c.failed("modules", err)
	}
	for _, p := range parameters {
		b, err := read(c.path(p), maxText)
		f.Parameters[p] = strings.TrimSpace(string(b))
		c.failed(p, err)
	}
}

func (c *collector) units() {
	f := c.facts
	out, err := run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--full")
	f.Failed = firstWords(out)
	c.failed("failed", err)
	out, err = run("systemctl", "list-jobs", "--plain", "--no-legend", "--full")
	f.Jobs = lines(out)
	c.failed("jobs", err)
	out, err = run("dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Package} ${Version}\n")
	f.Packages = lines(out)
	c.failed("packages", err)
	// `dpkg -l` is what people type: it must work too.
	_, err = run("dpkg", "-l")
	c.failed("dpkg", err)
	// systemd-detect-virt exits with 1 when it finds nothing.
	out, _ = run("systemd-detect-virt", "--vm")
	f.Virtual = strings.TrimSpace(out)
}

// credentials lists what PID 1 or systemd-stub imported from outside.
func (c *collector) credentials() {
	for _, folder := range []string{"/run/credentials/@system", "/run/credentials/@encrypted", "/run/credentials/@initrd"} {
		names, err := list(c.path(folder))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		c.failed("credentials", err)
		for _, n := range names {
			c.facts.Credentials = append(c.facts.Credentials, filepath.Join(folder, n))
		}
	}
}

func (c *collector) writes() {
	for _, folder := range writable {
		path := filepath.Join(c.path(folder), ".mangos-probe")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			c.facts.Writes[folder] = err.Error()
			continue
		}
		f.Close()
		os.Remove(path)
		c.facts.Writes[folder] = ""
	}
}

func (c *collector) processes() {
	entries, err := os.ReadDir(c.path("/proc"))
	c.failed("processes", err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A kernel thread has no program, and a process may have ended by now.
		program, err := os.Readlink(c.path("/proc/" + e.Name() + "/exe"))
		if err != nil {
			continue
		}
		c.facts.Processes = append(c.facts.Processes, probe.Process{PID: pid, Program: program})
	}
	slices.SortFunc(c.facts.Processes, func(a, b probe.Process) int { return a.PID - b.PID })
}

// rootPassword tells what kind of password root has, not which.
func (c *collector) rootPassword() {
	c.facts.RootPassword = "none"
	b, err := read(c.path("/etc/shadow"), maxText)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	c.failed("rootPassword", err)
	for line := range bytes.Lines(b) {
		fields := strings.Split(strings.TrimSpace(string(line)), ":")
		if fields[0] != "root" || len(fields) < 2 {
			continue
		}
		switch p := fields[1]; {
		case p == "":
			c.facts.RootPassword = "empty"
		case p[0] == '!' || p[0] == '*':
			c.facts.RootPassword = "locked"
		default:
			c.facts.RootPassword = "set"
		}
	}
}

// run returns what a program prints. The error holds the end of what it complains about.
func run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = []string{"PATH=/usr/bin:/usr/sbin", "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
	out, err := cmd.Output()
	if err != nil {
		complaint := stderr.String()
		err = fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(complaint[max(0, len(complaint)-300):]))
	}
	return string(out), err
}

func lines(out string) []string {
	var all []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func firstWords(out string) []string {
	var words []string
	for _, line := range lines(out) {
		words = append(words, strings.Fields(line)[0])
	}
	return words
}
