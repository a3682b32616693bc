//go:build oracle

package main

import "testing"

func TestUnits(t *testing.T) {
	image.CheckUnits(t, "/usr/lib/mangos/update", []string{"/usr/lib/mangos/proxy"},
		name+".service", name+".timer", name+"-status.service")
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

func TestExposure(t *testing.T) {
	for service, liberties := range open {
		image.CheckExposure(t, service, 100, liberties)
	}
}
