package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mastercard/mangos/compare/evidence"
	"github.com/mastercard/mangos/compare/manifest"
	"github.com/mastercard/mangos/compare/organisation"
	"github.com/mastercard/mangos/compare/repository"
	"github.com/mastercard/mangos/compare/side"
)

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

// codeOf is the exit code of an error.
func codeOf(err error) int {
	if slices.ContainsFunc([]error{
		evidence.ErrSignature, evidence.ErrInvalid, evidence.ErrUnknown, evidence.ErrReplayed, evidence.ErrExpired, evidence.ErrBroken,
		organisation.ErrKey, repository.ErrUnsafe, repository.ErrLimit, side.ErrManifest, manifest.ErrInvalid,
	}, func(kind error) bool { return errors.Is(err, kind) }) {
		return exitUnverified
	}
	return exitError
}

// usageError is a mistake in the command line.
type usageError struct{ error }
