package eventlog

import "crypto/sha256"

// Step is a register's value after one event.
type Step struct {
	Event
	Value [32]byte
}

// Replay extends a register that begins with zeros by the events that name it, in order.
func Replay(pcr int, events []Event) []Step {
	var steps []Step
	var value [32]byte
	for _, e := range events {
		if e.PCR != pcr {
			continue
		}
		value = sha256.Sum256(append(value[:], e.Digest[:]...))
		steps = append(steps, Step{e, value})
	}
	return steps
}
