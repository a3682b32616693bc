package scenario

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/mastercard/mangos/modules/vm/machine"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// Ending is what became of a machine.
type Ending string

// The endings. None of them is good or bad by itself.
const (
	Ready    Ending = "the probe reported"            // a system that started
	PowerOff Ending = "the guest switched itself off" // in order
	Reset    Ending = "the guest reset itself"
	Panic    Ending = "the kernel panicked"
	Denied   Ending = "the firmware refused to run a program"
	Shell    Ending = "a shell or a login was offered"
	Hang     Ending = "the watchdog fired"
	Deadline Ending = "the deadline passed"
	Gone     Ending = "qemu ended"
)

// shells are the prompts behind which somebody could type commands. They are looked for in
// lines that have not ended, too.
var shells = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`\blogin: *$`,
	`^\S*\bpassword: *$`,
	`give root password`,
	`press enter for (maintenance|emergency)`,
	`you are in (emergency|rescue|maintenance) mode`,
	`^(sh|bash|dash|zsh|busybox|/bin/\w*sh)(-[0-9.]+)?[#$] *$`,
	`^[\w.:~/@\[\]() -]{0,60}[#$] $`,
	`built-in shell \(`,
	`^shell> *$`,
	`UEFI Interactive Shell`,
}, "|"))

// denied is what firmware and boot loader say of a program whose signature is not good.
var denied = regexp.MustCompile(`(?i)(failed to (load|start)|error (loading|executing|starting)|cannot load|failed to execute).*(access denied|security violation)|` +
	`(access denied|security violation)\.?$`)

// Whether the kernel said its last line, or another one of a panic.
const (
	panicEnd  = "---[ end Kernel panic"
	panicText = "Kernel panic - not syncing"
)

// classify returns the ending that an event stands for, and a word on it; none is "".
func classify(e machine.Event) (Ending, string) {
	switch e.Kind {
	case machine.Console:
		switch {
		case strings.Contains(e.Text, panicEnd):
			return Panic, e.Text
		case shells.MatchString(e.Text):
			return Shell, e.Text
		case denied.MatchString(e.Text):
			return Denied, e.Text
		}
	case machine.Prompt:
		if shells.MatchString(e.Text) {
			return Shell, e.Text
		}
	case machine.Monitor:
		return classifyMonitor(e)
	case machine.Message:
		if r, err := probe.ParseReply([]byte(e.Text)); err == nil && r.ID == 0 {
			return Ready, ""
		}
	case machine.End:
		return Gone, e.Text
	}
	return "", ""
}

func classifyMonitor(e machine.Event) (Ending, string) {
	switch e.Text {
	case "GUEST_PANICKED", "GUEST_CRASHLOADED":
		return Panic, e.Text
	case "WATCHDOG":
		return Hang, ""
	case "SHUTDOWN", "RESET":
		var data struct {
			Guest  bool   `json:"guest"`
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return Gone, fmt.Sprintf("%s that does not parse: %v", e.Text, err)
		}
		switch data.Reason {
		case "guest-shutdown":
			return PowerOff, ""
		case "guest-reset":
			return Reset, ""
		case "guest-panic":
			return Panic, ""
		}
	}
	return "", ""
}
