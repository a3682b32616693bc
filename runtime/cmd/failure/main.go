// Command failure stands where other systems offer an emergency shell: it says
// on every console which units failed, and leaves what follows to the unit that
// runs it. Status 0 asks for a new start: another version may be tried. Status 1
// asks to switch off: there is nothing else to try.
package main

import (
	"context"
	"os"
	"time"

	"github.com/mastercard/mangos/runtime/console"
	"github.com/mastercard/mangos/runtime/failure"
	"github.com/mastercard/mangos/runtime/firmware"
)

// readingTime lets a person in front of the machine read why it stops.
const readingTime = 10 * time.Second

func main() {
	// The boot loader counts the attempts of a version that has not proved good
	// yet, and falls back to another one when they are used up.
	again := firmware.IsSet("/", "LoaderBootCountPath", firmware.LoaderVariable)
	next, status := "switching the power off in 10 seconds", 1
	if again {
		next, status = "starting again in 10 seconds, this version is still on trial", 0
	}
	units, err := failure.Units(context.Background(), "/")
	failure.Report(console.Open("/"), units, err, next)
	time.Sleep(readingTime)
	os.Exit(status)
}
