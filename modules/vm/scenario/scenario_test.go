package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mastercard/mangos/modules/vm/machine"
)

func TestClassify(t *testing.T) {
	line := func(s string) machine.Event { return machine.Event{Kind: machine.Console, Text: s} }
	prompt := func(s string) machine.Event { return machine.Event{Kind: machine.Prompt, Text: s} }
	monitor := func(name, data string) machine.Event {
		return machine.Event{Kind: machine.Monitor, Text: name, Data: json.RawMessage(data)}
	}
	for _, c := range []struct {
		e    machine.Event
		want Ending
	}{
		{prompt("mangos login: "), Shell},
		{prompt("root@mangos:~# "), Shell},
		{prompt("sh-5.2# "), Shell},
		{prompt("bash-5.2$ "), Shell},
		{prompt("/ # "), Shell},
		{prompt("# "), Shell},
		{prompt("(initramfs) # "), Shell},
		{line("You are in emergency mode. After logging in, type ..."), Shell},
		{prompt("Press Enter for maintenance"), Shell},
		{prompt("Give root password for maintenance"), Shell},
		{prompt("Shell> "), Shell},
		{prompt("[    1.000000] Run /init as init process"), ""},
		{prompt("[  OK  ] Started user login management"), ""},
		{line("systemd-logind.service - User Login Management"), ""},
		{line(`BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x3,0x0): Access Denied`), Denied},
		{line(`Error loading EFI binary \EFI\Linux\mangos_1.efi: Access denied`), Denied},
		{line("BdsDxe: loading Boot0001"), ""},
		{line("[    9.1] Kernel panic - not syncing: dm-verity device corrupted"), ""},
		{line("[    9.1] ---[ end Kernel panic - not syncing: dm-verity device corrupted ]---"), Panic},
		{monitor("GUEST_PANICKED", `{"action":"pause"}`), Panic},
		{monitor("SHUTDOWN", `{"guest":true,"reason":"guest-shutdown"}`), PowerOff},
		{monitor("SHUTDOWN", `{"guest":true,"reason":"guest-reset"}`), Reset},
		{monitor("SHUTDOWN", `[]`), Gone},
		{monitor("RESUME", ``), ""},
		{monitor("WATCHDOG", `{"action":"pause"}`), Hang},
		{machine.Event{Kind: machine.Message, Text: `{"id":0}`}, Ready},
		{machine.Event{Kind: machine.Message, Text: `{"id":3}`}, ""},
		{machine.Event{Kind: machine.Message, Text: `garbage`}, ""},
		{machine.Event{Kind: machine.End}, Gone},
	} {
		if got, _ := classify(c.e); got != c.want {
			t.Errorf("%v %q: %q, want %q", c.e.Kind, c.e.Text, got, c.want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(0, "login: ", "{}")
	f.Fuzz(func(t *testing.T, kind int, text, data string) {
		classify(machine.Event{Kind: machine.Kind(kind), Text: text, Data: json.RawMessage(data)})
	})
}

// A row is passed by what was expected of it, never by nothing.
func TestRows(t *testing.T) {
	s := &Scenario{Name: "s", Rows: []string{"good", "bad", "mixed", "untouched"}, run: func(_ context.Context, t *Trial) error {
		t.Expect("good", true, "")
		t.Expect("bad", false, "a %s", "reason\x1b[2J")
		t.Expect("mixed", true, "")
		t.Expect("mixed", false, "one")
		t.Expect("mixed", false, "two")
		return nil
	}}
	rows := s.Play(t.Context(), &Lab{})
	var got []string
	for _, r := range rows {
		word := "fail"
		if r.Passed {
			word = "pass"
		}
		got = append(got, r.Name+" "+word+" "+r.Reason)
	}
	want := []string{"good pass ", "bad fail a reason[2J", "mixed fail one; two", "untouched fail the scenario did not come to it"}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q", got)
	}
	// An error fails all rows: what was seen before it may be half of it.
	s.run = func(_ context.Context, t *Trial) error { t.Expect("good", true, ""); return errors.New("broken") }
	for i, r := range s.Play(t.Context(), &Lab{}) {
		want := "see good"
		if i == 0 {
			want = "broken"
		}
		if r.Passed || !strings.Contains(r.Reason, want) {
			t.Errorf("after an error: %+v", r)
		}
	}
	// Within a stage it fails that stage's rows.
	s.run = func(_ context.Context, t *Trial) error {
		t.Expect("good", true, "")
		t.stage([]string{"bad", "mixed"}, func() error { t.Expect("mixed", true, ""); return errors.New("broken") })
		t.Expect("untouched", true, "")
		return nil
	}
	for _, r := range s.Play(t.Context(), &Lab{}) {
		if want := r.Name == "good" || r.Name == "untouched"; r.Passed != want {
			t.Errorf("after an error of a stage: %+v", r)
		}
	}
}

// Every scenario is complete: a name and rows of its own, and a run.
func TestAll(t *testing.T) {
	names := map[string]bool{}
	for _, s := range All {
		if names[s.Name] || s.run == nil || len(s.Rows) == 0 || s.About == "" || s.Minutes == 0 {
			t.Errorf("scenario %+v", s)
		}
		names[s.Name] = true
		rows := slices.Clone(s.Rows)
		slices.Sort(rows)
		if len(slices.Compact(rows)) != len(s.Rows) {
			t.Errorf("scenario %s has a row twice", s.Name)
		}
	}
}

func TestSelect(t *testing.T) {
	short, err := Select("short")
	if err != nil || len(short) == 0 || slices.ContainsFunc(short, func(s *Scenario) bool { return s.Full }) {
		t.Errorf("short: %d, %v", len(short), err)
	}
	if all, err := Select("all"); err != nil || len(all) != len(All) {
		t.Errorf("all: %d, %v", len(all), err)
	}
	if two, err := Select("setup-mode,each-alone"); err != nil || len(two) != 2 {
		t.Errorf("two: %d, %v", len(two), err)
	}
	for _, list := range []string{"", "none", "short,", "short,none"} {
		if _, err := Select(list); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestOpenRelease(t *testing.T) {
	write := func(dir string, names ...string) string {
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(dir, n), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for _, names := range [][]string{
		{},
		{"mangos_1.raw.zst", "mangos_1.efi"},
		{"mangos_1.raw.zst", "mangos_2.raw.zst", "mangos_1.efi", "mangos_1.pcrs.json"},
	} {
		if _, err := OpenRelease(write(t.TempDir(), names...)); !errors.Is(err, ErrRelease) {
			t.Errorf("%q: %v", names, err)
		}
	}
	// Whole by its names, but the kernel image is none.
	if _, err := OpenRelease(write(t.TempDir(), "mangos_1.raw.zst", "mangos_1.efi", "mangos_1.pcrs.json")); err == nil {
		t.Error("a kernel image of one byte was taken")
	}
}

func FuzzParsePhases(f *testing.F) {
	f.Add([]byte(`{"pcr":11,"bank":"sha256","phases":[{"phase":"enter-initrd","value":"00"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if phases, err := parsePhases(text); err == nil && len(phases) == 0 {
			t.Error("no phases and no error")
		}
	})
}

// The vector is what `systemd-id128 --uuid var-partition-uuid` of systemd 257 prints on a
// machine with that id.
func TestVarID(t *testing.T) {
	id, err := varID("0123456789abcdef0123456789abcdef")
	if err != nil || id.String() != "c0c46eff-e386-4746-a2bd-0962cd326ea2" {
		t.Errorf("%s, %v", id, err)
	}
}

// TestBeginning: a machine that stalls before its first program is told from one that is
// slow, or that stalls later; and nothing of what was said is lost.
func TestBeginning(t *testing.T) {
	line := func(text string) machine.Event { return machine.Event{Kind: machine.Console, Text: text} }
	rcu := line("[   22.9] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:")
	gate := line("mangos: gate passed")
	for name, c := range map[string]struct {
		events           []machine.Event
		taken            int
		stalled, expired bool
	}{
		"starts":          {[]machine.Event{line("EFI stub"), gate, rcu}, 2, false, false},
		"stalls":          {[]machine.Event{line("EFI stub"), rcu, gate}, 2, true, false},
		"waits":           {[]machine.Event{line("INFO: task swapper/0:1 blocked for more than 124 seconds.")}, 1, true, false},
		"another waits":   {[]machine.Event{line("INFO: task systemd:1 blocked for more than 124 seconds.")}, 1, false, true},
		"refused":         {[]machine.Event{line("Error loading EFI binary: Access denied"), rcu}, 1, false, false},
		"panics":          {[]machine.Event{{Kind: machine.Monitor, Text: "GUEST_PANICKED"}, rcu}, 1, false, false},
		"says nothing":    {nil, 0, false, true},
		"qemu has an end": {[]machine.Event{{Kind: machine.End}}, 1, false, false},
	} {
		events := make(chan machine.Event, len(c.events))
		for _, e := range c.events {
			events <- e
		}
		deadline := make(chan time.Time)
		if c.expired {
			time.AfterFunc(50*time.Millisecond, func() { close(deadline) })
		}
		taken, stalled, expired := beginning(t.Context(), events, deadline)
		if len(taken) != c.taken || stalled != c.stalled || expired != c.expired {
			t.Errorf("%s: %d events, stalled %v, expired %v", name, len(taken), stalled, expired)
		}
	}
}
