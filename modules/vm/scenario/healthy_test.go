package scenario

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mastercard/mangos/modules/vm/probe"
)

const testHash = "1111111111111111111111111111111111111111111111111111111111111111"

// measured writes a firmware log that measures "kernel" into PCR 11, a systemd log with
// the phases, and returns the values after each.
func measured(words ...string) (firmware []byte, system string, values []string) {
	le := binary.LittleEndian
	spec := append([]byte("Spec ID Event03\x00"), make([]byte, 8)...)
	spec = le.AppendUint16(le.AppendUint16(le.AppendUint32(spec, 1), 0xb), 32)
	spec = append(spec, 0)
	firmware = make([]byte, 28)
	firmware = append(le.AppendUint32(firmware, uint32(len(spec))), spec...)
	digest := sha256.Sum256([]byte("kernel"))
	for _, v := range []uint32{11, 13, 1} {
		firmware = le.AppendUint32(firmware, v)
	}
	firmware = append(le.AppendUint16(firmware, 0xb), digest[:]...)
	firmware = le.AppendUint32(firmware, 0)
	value := sha256.Sum256(append(make([]byte, 32), digest[:]...))
	for _, w := range words {
		digest = sha256.Sum256([]byte(w))
		value = sha256.Sum256(append(value[:], digest[:]...))
		values = append(values, hex.EncodeToString(value[:]))
		system += fmt.Sprintf("\x1e{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"%x\"}],\"content\":{\"string\":%q}}\n", digest, w)
	}
	return firmware, system, values
}

// healthy returns facts and what they are held against, such that all rows pass.
func healthy() (*probe.Facts, want) {
	words := []string{"enter-initrd", "leave-initrd", "sysinit", "ready"}
	firmware, system, values := measured(words...)
	w := want{
		commandLine: "roothash=" + testHash + " panic=10 console=tty0 console=ttyS0,115200", uuid: UUID, virtual: true,
		certificate: &x509.Certificate{SubjectKeyId: []byte{9, 9, 0xab, 0xcd, 0xef, 1}},
	}
	for i, v := range values {
		w.phases = append(w.phases, Phase{Phase: strings.Join(words[:i+1], ":"), Value: v})
	}
	f := &probe.Facts{
		CommandLine: w.commandLine, MachineID: strings.ReplaceAll(UUID, "-", ""), Virtual: "qemu",
		SecureBoot: []byte{1}, SetupMode: []byte{0}, Lockdown: "none [integrity] confidentiality",
		PCR:         map[string]string{"11": values[3], "12": strings.Repeat("0", 64), "13": strings.Repeat("0", 64)},
		FirmwareLog: firmware, SystemLog: system,
		Mounts: "1 0 0:1 / / rw - rootfs rootfs rw\n22 1 254:1 / / ro,relatime - erofs /dev/mapper/root ro,cache_strategy=readaround\n" +
			"30 22 0:30 / /var rw - tmpfs tmpfs rw\n",
		Swaps: "Filename\tType\tSize", Modules: "none",
		Keys: "0001 I------ 1 perm 1f0b0000 0 0 keyring   .builtin_trusted_keys: 1\n" +
			"0002 I------ 1 perm 1f030000 0 0 asymmetri an organisation: X509.rsa abcdef01 []\n",
		Parameters: map[string]string{
			"/sys/module/dm_verity/parameters/require_signatures": "Y",
			"/proc/sys/kernel/panic":                              "10", "/sys/class/tty/console/active": "tty0 ttyS0",
		},
		Errors:  map[string]string{"/proc/sys/kernel/sysrq": "open /proc/sys/kernel/sysrq: no such file or directory"},
		Devices: []probe.Device{{Name: "root", Table: "verity 1 253:4 253:3 4096 4096 1 1 sha256 " + testHash + " 00 3 panic_on_corruption root_hash_sig_key_desc cryptsetup:x\n", Status: "verity V\n"}},
		State:   "running", Writes: map[string]string{},
		Processes:    []probe.Process{{PID: 1, Program: "/usr/lib/systemd/systemd"}},
		RootPassword: "locked",
	}
	for _, folder := range []string{"/", "/etc", "/usr"} {
		f.Writes[folder] = "open " + folder + "/x: read-only file system"
	}
	for i := range 60 {
		f.Packages = append(f.Packages, fmt.Sprintf("ii  package%d 1", i))
	}
	return f, w
}

// failing returns the rows that fail, and fails the test for rows that nothing decides.
func failing(t *testing.T, f *probe.Facts, w want) []string {
	t.Helper()
	decided, failed := map[string]bool{}, map[string]bool{}
	checkHealthy(f, w, func(row string, ok bool, format string, args ...any) {
		decided[row] = true
		if !ok {
			failed[row] = true
			if s := fmt.Sprintf(format, args...); strings.Contains(s, "%!") {
				t.Errorf("row %s: %s", row, s)
			}
		}
	})
	var rows []string
	for _, row := range healthyRows {
		if !decided[row] {
			t.Errorf("nothing decided row %s", row)
		}
		if failed[row] {
			rows = append(rows, row)
		}
	}
	return rows
}

func TestHealthy(t *testing.T) {
	f, w := healthy()
	if rows := failing(t, f, w); len(rows) > 0 {
		t.Errorf("a healthy machine fails %q", rows)
	}
}

// Each fault must be seen by the row that is there for it, and by no other.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		row   string
		fault func(*probe.Facts, *want)
	}{
		"degraded":        {"starts", func(f *probe.Facts, _ *want) { f.State = "degraded" }},
		"failed unit":     {"starts", func(f *probe.Facts, _ *want) { f.Failed = []string{"x.service"} }},
		"not asked":       {"starts", func(f *probe.Facts, _ *want) { f.Errors["failed"] = "no systemctl" }},
		"waiting job":     {"starts", func(f *probe.Facts, _ *want) { f.Jobs = []string{"1 x.service start waiting"} }},
		"secure boot off": {"secure-boot", func(f *probe.Facts, _ *want) { f.SecureBoot = []byte{0} }},
		"no secure boot":  {"secure-boot", func(f *probe.Facts, _ *want) { f.SecureBoot = nil }},
		"setup mode":      {"secure-boot", func(f *probe.Facts, _ *want) { f.SetupMode = []byte{1} }},
		"no lockdown":     {"secure-boot", func(f *probe.Facts, _ *want) { f.Lockdown = "[none] integrity confidentiality" }},
		"ext4":            {"verified-root", func(f *probe.Facts, _ *want) { f.Mounts = strings.Replace(f.Mounts, "erofs", "ext4", 1) }},
		"plain disk": {"verified-root", func(f *probe.Facts, _ *want) {
			f.Mounts = strings.Replace(f.Mounts, "/dev/mapper/root", "/dev/vda4", 1)
		}},
		"writable root":   {"verified-root", func(f *probe.Facts, _ *want) { f.Mounts = strings.ReplaceAll(f.Mounts, "ro,", "rw,") }},
		"no signature":    {"verified-root", func(f *probe.Facts, _ *want) { cut(f, "root_hash_sig_key_desc cryptsetup:x") }},
		"no panic":        {"verified-root", func(f *probe.Facts, _ *want) { cut(f, "panic_on_corruption") }},
		"other root hash": {"verified-root", func(f *probe.Facts, _ *want) { cut(f, testHash[1:]) }},
		"corrupted":       {"verified-root", func(f *probe.Facts, _ *want) { f.Devices[0].Status = "verity C\n" }},
		"no requirement": {"verified-root", func(f *probe.Facts, _ *want) {
			f.Parameters["/sys/module/dm_verity/parameters/require_signatures"] = "N"
		}},
		"no device":          {"verified-root", func(f *probe.Facts, _ *want) { f.Devices = nil }},
		"no certificate":     {"keyring", func(f *probe.Facts, _ *want) { f.Keys = "" }},
		"foreign key":        {"keyring", func(f *probe.Facts, _ *want) { f.Keys = strings.ReplaceAll(f.Keys, "abcdef01", "00000000") }},
		"one more key":       {"keyring", func(f *probe.Facts, _ *want) { f.Keys += "3 I--- 1 perm 1f 0 0 asymmetri other: X509.rsa 1 []\n" }},
		"one without a name": {"keyring", func(f *probe.Facts, _ *want) { f.Keys += "3 I--- 1 perm 1f 0 0 asymmetri\n" }},
		"platform ring":      {"keyring", func(f *probe.Facts, _ *want) { f.Keys += "3 I--- 1 perm 1f 0 0 keyring   .platform: 2\n" }},
		"etc writable":       {"read-only", func(f *probe.Facts, _ *want) { f.Writes["/etc"] = "" }},
		"usr not tried":      {"read-only", func(f *probe.Facts, _ *want) { delete(f.Writes, "/usr") }},
		"etc full":           {"read-only", func(f *probe.Facts, _ *want) { f.Writes["/etc"] = "no space left on device" }},
		"no packages":        {"packages", func(f *probe.Facts, _ *want) { f.Packages = nil }},
		"half installed":     {"packages", func(f *probe.Facts, _ *want) { f.Packages[3] = "iU  x 1" }},
		"dpkg -l":            {"packages", func(f *probe.Facts, _ *want) { f.Errors["dpkg"] = "exit status 2" }},
		"random machine id":  {"machine-id", func(f *probe.Facts, _ *want) { f.MachineID = strings.Repeat("1", 32) }},
		"hypervisor hidden":  {"machine-id", func(f *probe.Facts, _ *want) { f.Virtual = "none" }},
		"longer line":        {"command-line", func(f *probe.Facts, _ *want) { f.CommandLine += " init=/bin/sh" }},
		"stays after panic":  {"command-line", func(f *probe.Facts, _ *want) { f.Parameters["/proc/sys/kernel/panic"] = "0" }},
		"no panic built in": {"command-line", func(f *probe.Facts, w *want) {
			w.commandLine = strings.Replace(w.commandLine, "panic=10 ", "", 1)
			f.CommandLine, f.Parameters["/proc/sys/kernel/panic"] = w.commandLine, ""
		}},
		"another console": {"command-line", func(f *probe.Facts, _ *want) { f.Parameters["/sys/class/tty/console/active"] = "tty0 ttyS0 ttyS1" }},
		"console missing": {"command-line", func(f *probe.Facts, _ *want) { f.Parameters["/sys/class/tty/console/active"] = "ttyS0" }},
		"system request keys": {"no-shell", func(f *probe.Facts, _ *want) {
			f.Parameters["/proc/sys/kernel/sysrq"] = "438"
			delete(f.Errors, "/proc/sys/kernel/sysrq")
		}},
		"credential":         {"no-credentials", func(f *probe.Facts, _ *want) { f.Credentials = []string{"x"} }},
		"credentials hidden": {"no-credentials", func(f *probe.Facts, _ *want) { f.Errors["credentials"] = "denied" }},
		"getty": {"no-shell", func(f *probe.Facts, _ *want) {
			f.Processes = append(f.Processes, probe.Process{PID: 2, Program: "/usr/sbin/agetty"})
		}},
		"bash": {"no-shell", func(f *probe.Facts, _ *want) {
			f.Processes = append(f.Processes, probe.Process{PID: 2, Program: "/usr/bin/bash"})
		}},
		"no processes":       {"no-shell", func(f *probe.Facts, _ *want) { f.Processes = nil }},
		"root password":      {"no-shell", func(f *probe.Facts, _ *want) { f.RootPassword = "set" }},
		"modules":            {"no-modules-no-swap", func(f *probe.Facts, _ *want) { f.Modules = "" }},
		"swap":               {"no-modules-no-swap", func(f *probe.Facts, _ *want) { f.Swaps += "\n/dev/vda8 partition 1" }},
		"other kernel":       {"pcr-11", func(f *probe.Facts, w *want) { w.phases[0].Value = testHash }},
		"phase missing":      {"pcr-11", func(f *probe.Facts, _ *want) { f.SystemLog = f.SystemLog[:strings.LastIndex(f.SystemLog, "\x1e")] }},
		"log lies":           {"pcr-11", func(f *probe.Facts, _ *want) { f.PCR["11"] = testHash }},
		"no firmware log":    {"pcr-11", func(f *probe.Facts, _ *want) { f.FirmwareLog = nil }},
		"added from outside": {"pcr-11", func(f *probe.Facts, _ *want) { f.PCR["12"] = testHash }},
	} {
		f, w := healthy()
		c.fault(f, &w)
		if rows := failing(t, f, w); !slices.Equal(rows, []string{c.row}) {
			t.Errorf("%s: rows %q fail, want %s", name, rows, c.row)
		}
	}
}

func cut(f *probe.Facts, text string) {
	f.Devices[0].Table = strings.Replace(f.Devices[0].Table, text, "", 1)
}

func FuzzMountOf(f *testing.F) {
	facts, _ := healthy()
	f.Add(facts.Mounts, "/")
	f.Add("1 2 0:1 / /etc ro - overlay overlay", "/etc")
	f.Fuzz(func(t *testing.T, mountinfo, at string) {
		m, err := mountOf(mountinfo, at)
		if err == nil && (!strings.Contains(mountinfo, " "+at+" ") || !strings.Contains(mountinfo, m.kind) || m.kind == "") {
			t.Errorf("%q is %+v", at, m)
		}
	})
}

func FuzzKeyring(f *testing.F) {
	facts, w := healthy()
	f.Add(facts.Keys)
	f.Add("1 I------ 1 perm 1f030000 0 0 asymmetri")
	f.Fuzz(func(t *testing.T, keys string) {
		o := &outcome{t: t}
		checkKeyring(&probe.Facts{Keys: keys}, w, o.expect)
		if len(o.failed) == 0 && !strings.Contains(keys, "X509.rsa abcdef01") {
			t.Errorf("%q passes", keys)
		}
	})
}
