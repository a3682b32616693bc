package record

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
)

// kernelTypes are file systems that hold nothing but what the kernel or the
// step itself puts there.
var kernelTypes = map[string]bool{
	"proc": true, "sysfs": true, "devpts": true, "devtmpfs": true, "mqueue": true,
	"cgroup": true, "cgroup2": true, "securityfs": true, "debugfs": true, "tracefs": true,
	"bpf": true, "pstore": true, "efivarfs": true, "configfs": true, "binfmt_misc": true, "nsfs": true,
	"fusectl": true, "hugetlbfs": true,
}

// enginePaths are what a container engine mounts into every container: name
// resolution, which a step without network cannot use, and its own init.
var enginePaths = map[string]bool{
	"/etc/resolv.conf": true, "/etc/hosts": true, "/etc/hostname": true, "/.init": true,
}

// checkMounts refuses mounts that nobody claims.
func (p *Plan) checkMounts() error {
	if p.MountInfo == "" {
		return nil
	}
	f, err := os.Open(p.MountInfo)
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 64<<10), 1<<20)
	for s.Scan() {
		point, kind, err := parseMount(s.Text())
		if err != nil {
			return fmt.Errorf("list mounts: %w", err)
		}
		if !p.claims(point, kind) {
			return fmt.Errorf("%w: %s (%s): inputs belong below %s; a private key is claimed by --secret, a cache by --cache", ErrUnclaimed, point, kind, p.In)
		}
	}
	return s.Err()
}

// parseMount reads a line of mountinfo, proc_pid_mountinfo(5).
func parseMount(line string) (point, kind string, err error) {
	fields := strings.Fields(line)
	for i, f := range fields {
		if f == "-" && i >= 6 && i+1 < len(fields) {
			return unescapeOctal(fields[4]), fields[i+1], nil
		}
	}
	return "", "", fmt.Errorf("mountinfo line %q", line)
}

// unescapeOctal undoes mountinfo's \040 and its kin.
func unescapeOctal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// claims reports whether the mount at point is accounted for.
func (p *Plan) claims(point, kind string) bool {
	if point == "/" || kernelTypes[kind] || enginePaths[point] {
		return true
	}
	for _, below := range []string{"/proc", "/sys", "/dev"} {
		if within(point, below) {
			return true
		}
	}
	for _, list := range [][]string{{p.In, p.Out}, p.Secrets, p.Caches} {
		for _, claimed := range list {
			if claimed != "" && within(point, path.Clean(claimed)) {
				return true
			}
		}
	}
	return false
}

// within reports whether p is base or below it.
func within(p, base string) bool {
	return p == base || strings.HasPrefix(p, strings.TrimSuffix(base, "/")+"/")
}
