package main

import "fmt"

// Exit codes, the same for all verbs.
const (
	exitOK           = 0 // the same, or threshold met and no dissent
	exitError        = 1 // usage, input or output
	exitDiffers      = 2
	exitInconclusive = 3
	exitUnverified   = 4 // evidence that does not verify
	exitInputs       = 5 // made from different inputs: not comparable
)

// exit ends a verb whose own output already says what was found.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// ended is nil for the exit code 0.
func ended(code int) error {
	if code == exitOK {
		return nil
	}
	return exit(code)
}

// usageError is a mistake in the command line.
type usageError struct{ error }
