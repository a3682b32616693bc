package screen

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/mastercard/mangos/runtime/network"
)

// input is a line that is typed: by letters, or with the arrows alone (Up and
// Down change the last letter, Right adds one, Left takes it away).
type input struct {
	text  string
	limit int
	// alphabet is what can be typed.
	alphabet string
}

const (
	codeAlphabet    = "abcdefghijklmnopqrstuvwxyz234567"
	networkAlphabet = "0123456789./:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_@%, "
)

func (i *input) key(k tea.KeyMsg) {
	switch k.Type {
	case tea.KeyBackspace, tea.KeyDelete, tea.KeyLeft:
		i.text = i.text[:max(len(i.text)-1, 0)]
	case tea.KeyUp:
		i.turn(1)
	case tea.KeyDown:
		i.turn(-1)
	case tea.KeyRight:
		i.add(i.alphabet[:1])
	case tea.KeyRunes, tea.KeySpace:
		for _, r := range k.Runes {
			if strings.ContainsRune(i.alphabet, r) {
				i.add(string(r))
			}
		}
	}
}

func (i *input) add(s string) {
	if len(i.text) < i.limit {
		i.text += s
	}
}

// turn changes the last letter to one that is n further in the alphabet.
func (i *input) turn(n int) {
	if i.text == "" {
		i.add(i.alphabet[:1])
		return
	}
	last := strings.IndexByte(i.alphabet, i.text[len(i.text)-1])
	next := i.alphabet[(last+n+len(i.alphabet))%len(i.alphabet)]
	i.text = i.text[:len(i.text)-1] + string(next)
}

// form is the page of the network.
type form struct {
	fields []*input
	cursor int
	// config is what is in force.
	config network.Config
}

var labels = []string{"Address/length", "Gateway", "Name servers", "VLAN", "HTTP proxy"}

var hints = []string{"empty: DHCP", "", "with blanks between", "empty: none", "http://HOST:PORT, empty: none"}

func newForm() *form {
	f := &form{}
	for range labels {
		f.fields = append(f.fields, &input{limit: 100, alphabet: networkAlphabet})
	}
	return f
}

func (f *form) String() string {
	s := "DHCP"
	if f.config.Address.IsValid() {
		s = f.config.Address.String()
	}
	if f.config.VLAN != 0 {
		s += fmt.Sprintf(", VLAN %d", f.config.VLAN)
	}
	if f.config.Proxy != nil {
		s += ", through " + f.config.Proxy.Host
	}
	return s
}

// What a key did to the form.
type formResult int

const (
	formStays formResult = iota
	formDone
	formBack
)

func (f *form) key(k tea.KeyMsg) formResult {
	last := len(f.fields) + 1 // "Use" and "Back" follow the fields
	switch {
	case k.Type == tea.KeyEsc:
		return formBack
	case k.Type == tea.KeyUp:
		f.cursor = (f.cursor + last) % (last + 1)
	case k.Type == tea.KeyDown || k.Type == tea.KeyTab:
		f.cursor = (f.cursor + 1) % (last + 1)
	case k.Type == tea.KeyEnter && f.cursor == last:
		f.cursor = 0
		return formBack
	case k.Type == tea.KeyEnter && f.cursor == last-1:
		return formDone
	case k.Type == tea.KeyEnter:
		f.cursor++
	case f.cursor < len(f.fields):
		f.fields[f.cursor].key(k)
	}
	return formStays
}

func (f *form) parse() (network.Config, error) {
	t := func(i int) string { return strings.TrimSpace(f.fields[i].text) }
	return network.Parse(t(0), t(1), t(2), t(3), t(4))
}

func (f *form) lines() []string {
	var lines []string
	mark := func(i int) string {
		if i == f.cursor {
			return "> "
		}
		return "  "
	}
	for i, field := range f.fields {
		text, end := field.text, ""
		if i == f.cursor {
			end = "_"
		}
		if text == "" && hints[i] != "" {
			end += "  (" + hints[i] + ")"
		}
		lines = append(lines, fmt.Sprintf("%s%-16s %s%s", mark(i), labels[i], text, end))
	}
	return append(lines, "", mark(len(f.fields))+"Use these settings", mark(len(f.fields)+1)+"Back")
}
