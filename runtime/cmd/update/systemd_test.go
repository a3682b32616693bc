//go:build oracle

package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	units = "/usr/lib/systemd/system"
	// program is where the image has it.
	program = "/usr/lib/mangos/update"
)

// analyze calls systemd-analyze.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skipf("systemd-analyze is not here: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func put(t *testing.T, path string, content []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

// systemd finds no fault in the units: what they need is there, each setting is known.
func TestUnits(t *testing.T) {
	root := t.TempDir()
	for _, from := range []string{units, filepath.Join(tree, units)} {
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Skipf("systemd's own units are not here: %v", err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || from == units && filepath.Ext(e.Name()) != ".target" && filepath.Ext(e.Name()) != ".slice" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(from, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(root, units, e.Name()), text, 0o644)
		}
	}
	put(t, filepath.Join(root, "/usr/lib/mangos/proxy"), []byte("#!/bin/sh\n"), 0o755)
	verify := func() (string, error) {
		return analyze(t, "verify", "--root="+root, "--recursive-errors=one", name+".service", name+".timer", name+"-status.service")
	}
	if out, err := verify(); err == nil || !strings.Contains(out, program+" is not executable") {
		t.Errorf("without the program: %v\n%s", err, out)
	}
	put(t, filepath.Join(root, program), []byte("#!/bin/sh\n"), 0o755)
	if out, err := verify(); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// open are the liberties that systemd counts and the services need: root's disks and boot
// entries, the kernel's command line and its word of disks, the journal; one asks the
// proxy, which is on this machine, and changes the partition table, the other writes to
// consoles. Their files are the system's.
var open = map[string][]string{
	name + ".service": {
		"CapabilityBoundingSet_CAP_SYS_ADMIN", "DeviceAllow", "IPAddressDeny", "PrivateDevices", "PrivateNetwork", "PrivateUsers", "ProcSubset",
		"RestrictAddressFamilies_AF_INET_INET6", "RestrictAddressFamilies_AF_NETLINK", "RestrictAddressFamilies_AF_UNIX", "RootDirectoryOrRootImage", "UserOrDynamicUser",
	},
	name + "-status.service": {
		"DeviceAllow", "PrivateDevices", "PrivateUsers", "ProcSubset", "ProtectKernelLogs",
		"RestrictAddressFamilies_AF_NETLINK", "RestrictAddressFamilies_AF_UNIX", "RootDirectoryOrRootImage", "UserOrDynamicUser",
	},
}

// The services may do nothing else that systemd knows to forbid.
func TestExposure(t *testing.T) {
	for unit, want := range open {
		out, err := analyze(t, "security", "--offline=yes", "--no-pager", "--threshold=100", "--json=short", filepath.Join(tree, units, unit))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var settings []struct {
			Set  *bool
			Name string `json:"json_field"`
		}
		if err := json.Unmarshal([]byte(out), &settings); err != nil {
			t.Fatal(err)
		}
		var free []string
		for _, s := range settings {
			if s.Set != nil && !*s.Set {
				free = append(free, s.Name)
			}
		}
		slices.Sort(free)
		if len(settings) < 60 || !slices.Equal(free, want) {
			t.Errorf("%s: of %d, not forbidden: %q", unit, len(settings), free)
		}
	}
}
