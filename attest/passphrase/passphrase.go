// Package passphrase gets passphrases: from a file, which may be a secret that a
// container was given, or from a person at a terminal. Never from an argument or
// the environment, which others can read.
package passphrase

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/mastercard/mangos/attest/keys"
)

// ErrNone: there is no passphrase to be had.
var ErrNone = errors.New("no passphrase")

// Variable is the environment variable that names a file with the passphrase.
const Variable = "MANGOS_PASSPHRASE_FILE"

// terminal is where a person is asked, whatever the program's input is.
const terminal = "/dev/tty"

// Existing returns a function that gets the passphrase of an existing key: from
// file, or from a person where file is empty. hint says how to name a file.
func Existing(file, hint string) keys.Passphrase {
	return func(path string) ([]byte, error) {
		if file != "" {
			return read(file)
		}
		answers, err := ask(hint, fmt.Sprintf("Passphrase of %q: ", path))
		if err != nil {
			return nil, err
		}
		return answers[0], nil
	}
}

// New gets a passphrase for new keys: from file, or from a person where file is
// empty, who is asked twice. hint says how to name a file.
func New(file, hint string) ([]byte, error) {
	if file != "" {
		return read(file)
	}
	answers, err := ask(hint, "New passphrase: ", "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(answers[0], answers[1]) {
		return nil, fmt.Errorf("%w: the two are not the same", ErrNone)
	}
	return answers[0], nil
}

// read takes the passphrase from a file: its content without the newline at its
// end.
func read(file string) ([]byte, error) {
	text, err := keys.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrNone, file)
	}
	return text, nil
}

// ask puts questions to the person at the terminal, who does not see the answers.
func ask(hint string, questions ...string) ([][]byte, error) {
	tty, err := os.OpenFile(terminal, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: there is no terminal to ask for one; %s", ErrNone, hint)
	}
	defer tty.Close()
	var answers [][]byte
	for _, q := range questions {
		fmt.Fprint(tty, q)
		answer, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(tty)
		if err != nil {
			return nil, fmt.Errorf("%w: read from the terminal: %w", ErrNone, err)
		}
		if len(answer) == 0 {
			return nil, fmt.Errorf("%w: it is empty", ErrNone)
		}
		answers = append(answers, answer)
	}
	return answers, nil
}
