package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The folders in which a step finds its inputs and leaves its products.
const (
	In  = "/in"
	Out = "/out"
)

// end stands in a command between a sandbox with its flags and what runs in it.
const end = "--"

// CheckCommand holds the command that ran against the one that the step has, as far as
// [Step.Runs] tells.
func (s *Step) CheckCommand(command []string) error {
	want := strings.Fields(s.Runs)
	if len(want) == 0 {
		if len(command) > 0 {
			return fmt.Errorf("it ran %.300q, and should name what is there", command)
		}
		return nil
	}
	runs := command
	if at := slices.Index(want, end); at >= 0 {
		sandbox := want[:at]
		if len(runs) < len(sandbox) || !slices.Equal(runs[:len(sandbox)], sandbox) {
			return fmt.Errorf("it ran %.300q, want it under %s", command, strings.Join(sandbox, " "))
		}
		var err error
		if runs, err = afterSandbox(runs[len(sandbox):]); err != nil {
			return err
		}
		want = want[at+1:]
	}
	if len(runs) < len(want) || !slices.Equal(runs[:len(want)], want) {
		return fmt.Errorf("it ran %.300q, want %q", command, s.Runs)
	}
	return nil
}

// afterSandbox returns what runs in a sandbox with these words, and refuses a flag that
// makes it another one than a step has.
func afterSandbox(words []string) ([]string, error) {
	for i := 0; i < len(words); i++ {
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch flag := words[i]; flag {
		case end:
			return words[i+1:], nil
		case "--nest":
			continue
		case "--in", "--out":
			if value != map[string]string{"--in": In, "--out": Out}[flag] {
				return nil, fmt.Errorf("its sandbox had the folder %s %.100q", flag, value)
			}
		case "--dir":
			if value != In && !strings.HasPrefix(value, In+"/") {
				return nil, fmt.Errorf("its sandbox had the working folder %.100q", value)
			}
		case "--env":
			// Each step has its own.
		default:
			return nil, fmt.Errorf("its sandbox had the flag %.100q", flag)
		}
		i++
	}
	return nil, errors.New("nothing ran in its sandbox")
}
