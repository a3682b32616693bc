package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Need is a system package and why the engine wants it.
type Need struct {
	Package string
	Why     string
	Paths   []string // one of these exists when the package is there
}

// Needs are the packages behind the embedded engine.
var Needs = []Need{
	{"runc", "starts containers", []string{"/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc"}},
	{"containernetworking-plugins", "connects containers to a network", []string{"/usr/lib/cni/bridge", "/opt/cni/bin/bridge"}},
	{"iptables", "lets containers reach the network", []string{"/usr/sbin/iptables", "/sbin/iptables", "/usr/local/sbin/iptables"}},
	{"dnsmasq-base", "gives containers names", []string{"/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq"}},
	{"git", "fetches sources for the engine", []string{"/usr/bin/git", "/usr/local/bin/git"}},
	{"ca-certificates", "lets the engine trust servers", []string{"/usr/sbin/update-ca-certificates"}},
}

// Find returns the first of the package's paths that exists, or "".
func (n Need) Find() string {
	for _, p := range n.Paths {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// Missing returns the needs that the machine does not meet.
func Missing() []Need {
	var out []Need
	for _, n := range Needs {
		if n.Find() == "" {
			out = append(out, n)
		}
	}
	return out
}

// Describe names the packages and why each is wanted, in one line.
func Describe(needs []Need) string {
	parts := make([]string, 0, len(needs))
	for _, n := range needs {
		parts = append(parts, n.Package+" ("+n.Why+")")
	}
	return strings.Join(parts, ", ")
}

// Install installs the packages through apt. When apt does not know them it
// refreshes its lists first.
func Install(ctx context.Context, needs []Need) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this system has no apt-get: install %s by its own means", Describe(needs))
	}
	args := []string{"install", "--yes", "--no-install-recommends"}
	for _, n := range needs {
		args = append(args, n.Package)
	}
	if _, err := apt(ctx, args...); err == nil {
		return nil
	}
	if out, err := apt(ctx, "update"); err != nil {
		return fmt.Errorf("apt-get update failed (%w): repair it, then call again; it said:\n%s", err, out)
	}
	if out, err := apt(ctx, args...); err != nil {
		return fmt.Errorf("apt-get could not install %s (%w): install them by hand, then call again; it said:\n%s", Describe(needs), err, out)
	}
	return nil
}

// apt returns the end of what apt-get said.
func apt(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	const limit = 1500
	return string(out[max(0, len(out)-limit):]), err
}
