package update

import (
	"fmt"

	"github.com/mastercard/mangos/runtime/version"
)

// Lines say for people what the machine holds and what it starts.
func (s *State) Lines() []string {
	lines := []string{fmt.Sprintf("%-4s  %-16s  %s", "SLOT", "VERSION", "STATE")}
	for i, slot := range s.Slots {
		lines = append(lines, fmt.Sprintf("%-4s  %-16s  %s", slotName(i), orDash(slot.Version), slot.String()))
	}
	return append(lines, "next start: "+s.next())
}

// slotName is A, B and so on.
func slotName(i int) string { return string(rune('A' + i%26)) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// String says how the slot does.
func (slot Slot) String() string {
	how := "no boot entry"
	switch {
	case slot.Version == "":
		how = "empty, or not whole"
	case slot.Entry != nil:
		how = slot.Entry.String()
	}
	if slot.Running {
		return "running, " + how
	}
	return how
}

// next says what the boot loader starts, and what if that does not prove good.
func (s *State) next() string {
	next, fallback := s.Next(), s.Fallback()
	switch {
	case next == nil:
		return "the boot loader has no entry"
	case s.Variable != "":
		return fmt.Sprintf("%s, whatever it is, by the firmware's variable %s", next.Version, s.Variable)
	case next.Good():
		return fmt.Sprintf("%s, %s", next.Version, next)
	case fallback == nil:
		return fmt.Sprintf("%s, %s; there is nothing to fall back to", next.Version, next)
	}
	return fmt.Sprintf("%s, %s; falls back to %s", next.Version, next, fallback.Version)
}

// Warnings are what somebody in front of the machine should know; none where all is
// well, or an update waits for the next start.
func (s *State) Warnings() []string {
	var all []string
	for _, e := range s.Entries {
		if e.Bad() && version.Compare(e.Version, s.Running) > 0 {
			all = append(all, fmt.Sprintf("update failed: version %s is %s, version %s runs instead; it is not applied again, a newer one is", e.Version, e, s.Running))
		}
	}
	switch e := s.entry(s.Running); {
	case e == nil:
		all = append(all, fmt.Sprintf("the boot loader has no entry for version %s, which runs", s.Running))
	case e.Bad():
		all = append(all, fmt.Sprintf("version %s runs although it is %s; next start: %s", s.Running, e, s.next()))
	case !e.Good():
		all = append(all, fmt.Sprintf("version %s is %s; next start: %s", s.Running, e, s.next()))
	}
	for _, slot := range s.Slots {
		if slot.Running || slot.Version == "" || slot.Entry != nil {
			continue
		}
		all = append(all, fmt.Sprintf("version %s lies in a slot, and the boot loader has no entry of it; apply an update to mend that", slot.Version))
	}
	if s.Variable != "" {
		all = append(all, s.chosenError().Error())
	}
	return all
}
