// Package failure tells people why a machine does not start. There is no shell
// to look for it oneself.
package failure

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mastercard/mangos/runtime/console"
)

const (
	// maxUnits and maxLines bound what is shown: a screen holds 25 lines.
	maxUnits = 5
	maxLines = 3
	// maxOutput is the most that is read from a program.
	maxOutput = 64 << 10
	// askTime is how long systemd may take to answer.
	askTime = 15 * time.Second
)

// A Unit is a failed unit.
type Unit struct {
	Name        string
	Description string
	// Result is systemd's word: exit-code, timeout, dependency and so on.
	Result string
	// Log holds the last lines that the unit wrote to the journal.
	Log []string
}

// Units asks the systemd of the tree at root ("/" on a machine) for its failed
// units. Where none failed it returns one named "none".
func Units(ctx context.Context, root string) ([]Unit, error) {
	out, err := ask(ctx, root, "systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full")
	if err != nil {
		return nil, fmt.Errorf("list failed units: %w", err)
	}
	var units []Unit
	for _, name := range parseList(out) {
		out, err := ask(ctx, root, "systemctl", "show", "--property=Description,Result", "--", name)
		if err != nil {
			return nil, fmt.Errorf("ask for unit %s: %w", name, err)
		}
		u := parseUnit(name, out)
		u.Log = journal(ctx, root, "_SYSTEMD_UNIT="+name)
		units = append(units, u)
	}
	if len(units) == 0 {
		// Something that never came, a device for one, does not count as failed.
		units = append(units, Unit{Name: "none", Description: "no unit failed, something that was waited for did not come", Result: "timeout", Log: journal(ctx, root, "--priority=warning")})
	}
	return units, nil
}

// journal returns the last lines of this boot's journal that match. A log that
// cannot be read takes nothing away from the rest of the report.
func journal(ctx context.Context, root, match string) []string {
	out, err := ask(ctx, root, "journalctl", "--quiet", "--boot", "--output=cat", "--no-pager", fmt.Sprintf("--lines=%d", maxLines), match)
	if err != nil {
		return nil
	}
	return parseLog(out)
}

// ask runs a program of the system and returns the first maxOutput bytes of
// what it prints.
func ask(ctx context.Context, root, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "usr/bin", program), args...)
	cmd.Env = []string{"LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return string(bytes.ToValidUTF8(out[:min(len(out), maxOutput)], []byte("?"))), nil
}

// parseList reads the names out of list-units: the first word of each line.
func parseList(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); len(words) > 0 && len(names) < maxUnits {
			names = append(names, words[0])
		}
	}
	return names
}

func parseUnit(name, out string) Unit {
	u := Unit{Name: name}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "Description":
			u.Description = value
		case "Result":
			u.Result = value
		}
	}
	return u
}

func parseLog(out string) []string {
	var lines []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-maxLines):]
}

// Report says which units failed, and why nothing else is offered. what comes
// next is the caller's to name.
func Report(say *console.Console, units []Unit, asking error, next string) {
	if asking != nil {
		say.Say(console.Warning, "start-up failed [unknown]: systemd does not say what failed (%v)", asking)
	}
	for _, u := range units {
		say.Say(console.Warning, "start-up failed [%s]: %s (%s)", u.Name, u.Description, u.Result)
		for _, line := range u.Log {
			say.Say(console.Warning, "  %s", line)
		}
	}
	say.Say(console.Warning, "no shell is offered on this system; %s", next)
}
