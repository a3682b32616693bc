// Command probe is the first process of a test machine. It looks whether the
// running kernel has what its configuration is for, prints a line for each
// thing on the console, and switches the machine off.
//
//	probe: ok   mount erofs
//	probe: fail mount xfs: no such device
//	probe: 20 passed, 1 failed
//
// What depends on the machine around it comes on the kernel's command line:
// probe.certificate=TEXT, the subject of the certificate in the kernel, and
// probe.tpm, probe.secureboot when the machine has them.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// check is one thing looked at.
type check struct {
	name string
	run  func() error
}

func main() {
	passed, failed := 0, 0
	for _, c := range checks() {
		if err := c.run(); err != nil {
			fmt.Printf("probe: fail %s: %v\n", c.name, err)
			failed++
		} else {
			fmt.Printf("probe: ok   %s\n", c.name)
			passed++
		}
	}
	fmt.Printf("probe: %d passed, %d failed\n", passed, failed)
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Printf("probe: power off: %v\n", err)
	}
}

// option returns the value of an option of the kernel's command line.
func option(name string) (value string, there bool) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", false
	}
	for _, word := range strings.Fields(string(line)) {
		key, value, _ := strings.Cut(word, "=")
		if key == name {
			return value, true
		}
	}
	return "", false
}
