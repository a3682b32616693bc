// Probe runs in a virtual machine under test, from a signed test extension, and tells the
// harness about the running system (see package probe).
package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/mastercard/mangos/modules/vm/guest"
	"github.com/mastercard/mangos/modules/vm/machine"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "probe: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	path, err := guest.FindPort("/", machine.Port)
	if err != nil {
		return err
	}
	port, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer port.Close()
	g := guest.Guest{
		Root:     "/",
		PowerOff: func() error { return exec.Command("systemctl", "--no-block", "poweroff").Run() },
		Merge: func() error {
			return exec.Command("systemctl", "restart", "systemd-sysext.service", "systemd-confext.service").Run()
		},
	}
	return g.Serve(port)
}
