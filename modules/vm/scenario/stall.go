package scenario

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/vm/machine"
)

// The emulator loses the timer of a processor now and then: then the kernel waits for ever,
// before any program has run. That says nothing of the release, and such a machine is powered
// on again; one that stalls each time has stalled.

// maxStarts is how often a machine is powered on at most.
const maxStarts = 3

// stall is what the kernel says of a processor whose timer does not tick, or of its first
// process when that waits for one.
var stall = regexp.MustCompile(`rcu: INFO: \S+ detected stalls on CPUs/tasks|INFO: task swapper/0:1 blocked for more than`)

// gateSays begins each line of the gate, the first program that runs.
const gateSays = "mangos: "

// beginning takes events until the first program of a machine speaks, the machine comes to an
// end, or it stalls. It returns all that it took.
func beginning(ctx context.Context, events <-chan machine.Event, deadline <-chan time.Time) (taken []machine.Event, stalled, expired bool) {
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return taken, false, false
			}
			taken = append(taken, e)
			if e.Kind == machine.Console && stall.MatchString(e.Text) {
				return taken, true, false
			}
			ending, _ := classify(e)
			if ending != "" || e.Kind == machine.Console && strings.Contains(e.Text, gateSays) {
				return taken, false, false
			}
		case <-deadline:
			return taken, false, true
		case <-ctx.Done():
			return taken, false, true
		}
	}
}
