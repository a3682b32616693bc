package screen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/installer"
	"github.com/mastercard/mangos/runtime/network"
	"github.com/mastercard/mangos/runtime/release"
	"github.com/mastercard/mangos/runtime/target"
)

// user drives a screen without a terminal.
type user struct {
	t *testing.T
	m *model
	// ended is set when the program would end.
	ended bool
	// what the work was asked for
	prepared  installer.Options
	networks  []network.Config
	runs      int
	prepareOK error
	runOK     error
}

func newUser(t *testing.T, disks ...*target.Disk) *user {
	u := &user{t: t}
	u.m = &model{ctx: t.Context(), network: newForm(), options: installer.Options{Source: "https://example.org/release"}}
	u.m.send = func(msg tea.Msg) { u.m.Update(msg) }
	u.m.work = Work{
		List:    func() ([]*target.Disk, error) { return disks, nil },
		Network: func(c network.Config) error { u.networks = append(u.networks, c); return nil },
		Prepare: func(_ context.Context, o installer.Options) (*installer.Job, error) {
			u.prepared = o
			return &installer.Job{Release: &release.Release{Name: "mangos", Version: "1.0"}, Disk: u.m.disk, Download: 1e8}, u.prepareOK
		},
		Run: func(_ context.Context, _ *installer.Job, tell func(install.Progress)) error {
			u.runs++
			tell(install.Progress{Stage: install.Writing, Done: 5e7, Total: 1e8, Again: 1e6})
			u.sees("50 %", "50.0 of 100.0 MB", "1.0 MB were fetched again", "Do not switch the machine off")
			u.press(tea.KeyEsc, tea.KeyEnter, tea.KeyCtrlC) // does nothing
			return u.runOK
		},
	}
	u.do(u.m.Init())
	return u
}

// do carries out a command, and those that follow.
func (u *user) do(cmd tea.Cmd) {
	for cmd != nil {
		msg := cmd()
		if _, ok := msg.(tea.QuitMsg); ok {
			u.ended = true
			return
		}
		_, cmd = u.m.Update(msg)
		u.fits()
	}
}

func (u *user) press(keys ...tea.KeyType) {
	for _, k := range keys {
		_, cmd := u.m.Update(tea.KeyMsg{Type: k})
		u.fits()
		u.do(cmd)
	}
}

func (u *user) types(text string) {
	u.m.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(text)})
}

func (u *user) sees(texts ...string) {
	u.t.Helper()
	for _, text := range texts {
		if !strings.Contains(u.m.View(), text) {
			u.t.Errorf("%q is not on the screen:\n%s", text, u.m.View())
		}
	}
}

// fits makes sure that the page fits the smallest screen.
func (u *user) fits() {
	u.t.Helper()
	lines := strings.Split(u.m.View(), "\n")
	if len(lines) > height-1 {
		u.t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if len([]rune(line)) > width {
			u.t.Errorf("too long: %q", line)
		}
	}
}

const (
	up, down, left, right = tea.KeyUp, tea.KeyDown, tea.KeyLeft, tea.KeyRight
	enter                 = tea.KeyEnter
)

func empty(path string) *target.Disk {
	return &target.Disk{Path: path, Bus: "nvme", Model: "Example", Serial: "S1", Size: 1e12, SectorSize: 512}
}

func TestEmptyDisk(t *testing.T) {
	u := newUser(t, empty("/dev/nvme0n1"))
	u.sees("> /dev/nvme0n1  1 TB  nvme  Example  S1", "empty")
	u.press(enter)
	u.sees("Release:  mangos 1.0", "Download: 100.0 MB", "> Back")
	if u.prepared.Target != "/dev/nvme0n1" || u.prepared.Source != "https://example.org/release" || u.runs != 0 {
		t.Errorf("%+v", u.prepared)
	}
	u.press(down, enter)
	u.sees("Installed", "mangos 1.0 is on /dev/nvme0n1")
	u.press(down, enter)
	if !u.ended || u.m.outcome.End != PowerOff || u.m.outcome.Job == nil || u.m.outcome.Last.Done != 5e7 || u.runs != 1 {
		t.Errorf("%+v, %d runs", u.m.outcome, u.runs)
	}
}

// The code of a disk that is not empty, with the arrows alone.
func TestCode(t *testing.T) {
	d := empty("/dev/sda")
	d.Contents = "the system other_2, 4 partitions"
	u := newUser(t, d)
	u.press(enter)
	u.sees("This disk is not empty", "the system other_2", d.Code())
	u.press(enter)
	u.sees("! that is not the code")
	for _, letter := range d.Code() {
		u.press(right)
		for range strings.IndexRune(codeAlphabet, letter) {
			u.press(up)
		}
	}
	u.press(right, enter) // no room for more
	u.sees("This is going to happen", "Destroys: the system other_2")
	if u.prepared.Code != d.Code() {
		t.Errorf("code %q, want %q", u.prepared.Code, d.Code())
	}
	u.press(enter, enter) // back, and to the code again
	u.types("1!" + d.Code())
	u.press(enter)
	u.sees("This is going to happen")
	u.press(enter, enter, left)
	u.sees("Choose the disk")
}

func TestRefusedDisk(t *testing.T) {
	d := empty("/dev/sda")
	d.Refusal = "it is mounted at /"
	u := newUser(t, d)
	u.press(enter)
	u.sees("Choose the disk", "! /dev/sda is not to be had: it is mounted at /")
}

func TestFailures(t *testing.T) {
	u := newUser(t, empty("/dev/sda"))
	u.prepareOK = errors.New("the manifest is not signed")
	u.press(enter)
	u.sees("It did not work", "the manifest is not signed", "> Back")
	u.prepareOK, u.runOK = nil, errors.New("the target does not give back what was written:\nsecond line")
	u.press(enter, enter, down, enter)
	u.sees("It did not work", "second line", "does not boot")
	u.press(down, enter)
	if !u.ended || u.m.outcome.Job != nil || u.m.outcome.Err == nil || u.m.outcome.End != Quit {
		t.Errorf("%+v", u.m.outcome)
	}
}

func TestNetwork(t *testing.T) {
	u := newUser(t)
	u.press(down)
	u.sees("> Network: DHCP")
	u.press(enter)
	u.sees("Address/length", "empty: DHCP")
	u.types("192.0.2.7")
	u.press(up, up, enter) // from the first field to "Use"
	u.sees("want ADDRESS/LENGTH")
	u.press(down, down)
	u.types("/24")
	u.press(down, down, down)
	u.types("12")
	u.press(down)
	u.types("http://proxy:3128")
	u.press(enter, enter)
	u.sees("Network: 192.0.2.7/24, VLAN 12, through proxy:3128")
	if len(u.networks) != 1 || u.networks[0].VLAN != 12 {
		t.Errorf("%+v", u.networks)
	}
}

func TestManyDisks(t *testing.T) {
	var disks []*target.Disk
	for i := range 40 {
		d := empty(fmt.Sprintf("/dev/sd%02d", i))
		d.Model = strings.Repeat("long ", 30)
		d.Refusal = strings.Repeat("reason ", 30)
		disks = append(disks, d)
	}
	u := newUser(t, disks...)
	for i := range 40 {
		u.sees(fmt.Sprintf("> /dev/sd%02d", i))
		u.press(down)
	}
	u.press(down, down)
	u.sees("> Quit")
	u.press(enter)
	if !u.ended {
		t.Error("not ended")
	}
}

func TestMeter(t *testing.T) {
	var m meter
	begin := time.Unix(0, 0)
	m.add(install.Progress{Stage: install.Reading, Total: 1e9}, begin)
	m.add(install.Progress{Stage: install.Reading, Done: 25e7, Total: 1e9}, begin.Add(5*time.Second))
	if got := strings.Join(m.lines(), "\n"); !strings.Contains(got, " 25 %") || !strings.Contains(got, "50.0 MB/s, 15s left") {
		t.Error(got)
	}
	m.add(install.Progress{Stage: install.Writing, Done: 1, Total: -1}, begin)
	if got := strings.Join(m.lines(), "\n"); got != "writing ..." {
		t.Error(got)
	}
}

func FuzzWrap(f *testing.F) {
	f.Add(strings.Repeat("word ", 40))
	f.Fuzz(func(t *testing.T, text string) {
		for _, line := range wrap(text) {
			if len([]rune(line)) > width-1 {
				t.Fatalf("%d characters: %q", len([]rune(line)), line)
			}
		}
	})
}
