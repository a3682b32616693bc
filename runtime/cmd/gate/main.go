// Command gate decides in the initrd whether the machine may start.
//
// As the first process (/init) it looks at firmware, command line, TPM and
// identity, and gives the machine over to systemd. So nothing that the command
// line, the ESP or SMBIOS could steer runs before it: no generator, no unit, no
// program with a library to preload.
//
//	gate handover
//
// is called by a unit before the root is opened. It looks once more, in case that
// it was not the first process, and hands over the root hash's signature and the
// extensions.
//
// Where the machine must not start it says why on every console and switches the
// power off. It never returns success then.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/gate"
)

// readingTime lets a person in front of the machine read why it stops.
const readingTime = 10 * time.Second

var errUsage = errors.New("usage: gate handover, in an initrd")

func main() {
	if os.Getpid() == 1 {
		say, err := first()
		say.Say(console.Warning, "refused [gate]: the gate cannot do its work: %v", err)
		powerOff(say)
		return
	}
	// Only an initrd is switched off: by hand, anywhere else, this does nothing.
	_, err := os.Stat("/etc/initrd-release")
	if err != nil || len(os.Args) != 2 || os.Args[1] != "handover" {
		fmt.Fprintln(os.Stderr, "gate:", errUsage)
		os.Exit(2)
	}
	say := console.Open("/")
	check(say)
	if err := gate.HandOver(context.Background(), "/", say); err != nil {
		say.Say(console.Warning, "%v", err)
		powerOff(say)
	}
}

// first is the life of the initrd's first process. It returns only where
// something failed that has nothing to do with the machine being fit.
func first() (*console.Console, error) {
	err := gate.Mount()
	say := console.Open("/")
	if err != nil {
		return say, err
	}
	check(say)
	say.Say(console.Info, "gate passed: Secure Boot on, command line built in, nothing added from outside, identity known")
	if err := gate.Unmount(); err != nil {
		return say, err
	}
	return say, gate.Give()
}

// check comes back only where the machine may start.
func check(say *console.Console) {
	refusals := gate.Check(context.Background(), "/")
	for _, r := range refusals {
		say.Say(console.Warning, "%v", r)
	}
	if len(refusals) > 0 {
		powerOff(say)
	}
}

// powerOff does not come back. If the kernel refuses to switch off, the end of
// the first process is a panic, and that of the unit makes systemd do it.
func powerOff(say *console.Console) {
	say.Say(console.Warning, "switching the power off in %d seconds", int(readingTime.Seconds()))
	time.Sleep(readingTime)
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	say.Say(console.Warning, "the power cannot be switched off (%v)", err)
	os.Exit(1)
}
