// Command gate decides in the initrd whether the machine may start.
//
//	gate check     looks at firmware, command line, TPM and identity
//	gate handover  hands over the root hash's signature and the extensions
//
// Where the machine must not start it says why on every console and switches
// the power off. It never returns success then.
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

func main() {
	say := console.Open("/")
	if err := run(os.Args[1:], say); err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		powerOff(say)
	}
}

// run does what the arguments ask for. Every error stops the machine.
func run(args []string, say *console.Console) error {
	if len(args) != 1 {
		return errors.New("usage: gate check|handover")
	}
	ctx := context.Background()
	switch args[0] {
	case "check":
		refusals := gate.Check(ctx, "/")
		for _, r := range refusals {
			say.Say(console.Warning, "%s", r)
		}
		if len(refusals) > 0 {
			return refusals[0]
		}
		say.Say(console.Info, "gate passed: Secure Boot on, command line built in, nothing added from outside, identity known")
		return nil
	case "handover":
		err := gate.HandOver(ctx, "/", say)
		if err != nil {
			say.Say(console.Warning, "%s", err)
		}
		return err
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// powerOff does not come back: the unit waits for this program, and everything
// that opens the disk waits for the unit. If the kernel refuses to switch off,
// systemd's FailureAction= does it after our exit.
func powerOff(say *console.Console) {
	say.Say(console.Warning, "switching the power off in %d seconds", int(readingTime.Seconds()))
	time.Sleep(readingTime)
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	say.Say(console.Warning, "the power cannot be switched off (%v)", err)
	os.Exit(1)
}
