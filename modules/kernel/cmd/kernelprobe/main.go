// Command probe is the first process of a test machine. It looks whether the
// running kernel has what its configuration is for, prints a line for each
// thing on the console, and switches the machine off.
//
//	probe: ok   mount erofs
//	probe: fail mount xfs: no such device
//	probe: 20 passed, 1 failed
//
// What depends on the machine around it comes on the kernel's command line:
// probe.tpm when it has a TPM, and last, up to the end of the line, as it may hold
// spaces, probe.certificate=TEXT, the subject of the certificate in the kernel.
package main

import (
	"fmt"
	"os"
	"slices"
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
	look := func(c check) {
		if err := c.run(); err != nil {
			fmt.Printf("probe: fail %s: %v\n", c.name, err)
			failed++
		} else {
			fmt.Printf("probe: ok   %s\n", c.name)
			passed++
		}
	}
	// The command line can be read after the first mount only.
	var asked options
	look(check{"mount proc", func() error { return mount("proc", "/proc", "proc", 0, "") }})
	look(check{"command line", func() error {
		line, err := os.ReadFile("/proc/cmdline")
		asked = parseOptions(string(line))
		return err
	}})
	for _, c := range checks(asked) {
		look(c)
	}
	fmt.Printf("probe: %d passed, %d failed\n", passed, failed)
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Printf("probe: power off: %v\n", err)
	}
}

// options are what the kernel's command line says of the machine.
type options struct {
	certificate string // subject of the one in the kernel; empty: there is none
	tpm         bool
}

func parseOptions(line string) options {
	before, subject, _ := strings.Cut(line, " probe.certificate=")
	return options{certificate: strings.TrimSpace(subject), tpm: slices.Contains(strings.Fields(before), "probe.tpm")}
}
