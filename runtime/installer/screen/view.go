package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/target"
)

// The size of the smallest screen.
const (
	width  = 80
	height = 25
)

// View draws the page.
func (m *model) View() string {
	var title string
	var body []string
	switch m.page {
	case disksPage:
		title, body = "Choose the disk to install to", m.menu(nil)
	case networkPage:
		title, body = "Network", m.network.lines()
	case codePage:
		title, body = "This disk is not empty", m.codeLines()
	case waitPage:
		title, body = "Please wait", []string{"Looking for the release, and checking its signature ..."}
	case summaryPage:
		title, body = "This is going to happen", m.menu(m.job.Summary())
	case progressPage:
		title, body = "Installing", m.meter.lines()
	case resultPage:
		title, body = m.resultLines()
	}
	lines := append([]string{"mangos installer - " + title, strings.Repeat("-", width-1), ""}, body...)
	if m.err != nil {
		lines = append(append(lines, ""), wrap("! "+m.err.Error())...)
	}
	return frame(lines, keys(m.page))
}

// keys is the last line.
func keys(p page) string {
	switch p {
	case networkPage:
		return "Up, Down: field   letters: type   Enter: next"
	case codePage:
		return "Letters, or Up, Down, Right: type   Left: delete, back   Enter: go on"
	case waitPage, progressPage:
		return ""
	}
	return "Up, Down: choose   Enter: go on"
}

// frame cuts what does not fit, and puts the last line at the bottom.
func frame(lines []string, last string) string {
	if len(lines) > height-2 {
		lines = lines[:height-2]
	}
	for len(lines) < height-2 {
		lines = append(lines, "")
	}
	lines = append(lines, last)
	for i, line := range lines {
		if r := []rune(line); len(r) > width-1 {
			lines[i] = string(r[:width-1])
		}
	}
	return strings.Join(lines, "\n")
}

// menu lists the choices of the page, the cursor's with a mark, below a text. It
// shows those around the cursor where not all fit.
func (m *model) menu(above []string) []string {
	var lines []string
	for _, line := range above {
		lines = append(lines, wrap(line)...)
	}
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	var list []string
	first, last := 0, 0
	for i, c := range m.choices() {
		mark := "  "
		if i == m.cursor {
			mark, first = "> ", len(list)
		}
		for k, line := range c.text {
			if k > 0 {
				mark = "  "
			}
			list = append(list, mark+line)
		}
		if i == m.cursor {
			last = len(list)
		}
	}
	room := max(height-8-len(lines), last-first)
	if len(list) > room {
		from := min(max(0, last-room), first)
		list = list[from:min(from+room, len(list))]
	}
	return append(lines, list...)
}

// diskLines describes a disk in two lines.
func diskLines(d *target.Disk) []string {
	about := "  empty"
	switch {
	case d.Refusal != "":
		about = "  not to be had: " + d.Refusal
	case d.Contents != "":
		about = "  on it: " + d.Contents
	}
	return []string{d.String(), about}
}

func (m *model) codeLines() []string {
	lines := []string{m.disk.String(), "on it: " + m.disk.Contents, ""}
	lines = append(lines, wrap("All of that is lost when you go on. To say that you mean this disk, type its code:")...)
	return append(lines, "", "    "+m.disk.Code(), "", "    "+m.code.text+"_")
}

func (m *model) resultLines() (title string, lines []string) {
	if err := m.outcome.Err; err != nil {
		return "It did not work", m.menu(append(strings.Split(err.Error(), "\n"), "", "What was written to the disk, if anything, does not boot."))
	}
	return "Installed", m.menu([]string{
		fmt.Sprintf("%s %s is on %s, and was read back.", m.job.Release.Name, m.job.Release.Version, m.job.Disk.Path),
		"Remove the medium that this was started from.",
	})
}

// wrap breaks a text into lines, at blanks where there are any.
func wrap(text string) []string {
	const most = width - 2
	var lines []string
	line := ""
	for _, word := range strings.Split(text, " ") {
		for len([]rune(word)) > most {
			r := []rune(word)
			lines, word = append(lines, strings.TrimSuffix(line+" "+string(r[:most-len([]rune(line))-1]), " ")), string(r[most-len([]rune(line))-1:])
			line = ""
		}
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) > most:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// meter shows how far it is, how fast, and how long it will take.
type meter struct {
	now   install.Progress
	begin time.Time
	at    time.Time
}

func (m *meter) add(p install.Progress, at time.Time) {
	if p.Stage != m.now.Stage {
		m.begin = at
	}
	m.now, m.at = p, at
}

func (m *meter) lines() []string {
	p := m.now
	if p.Total <= 0 {
		return []string{string(p.Stage) + " ..."}
	}
	const cells = 50
	part := float64(p.Done) / float64(p.Total)
	full := int(part * cells)
	lines := []string{string(p.Stage), "",
		fmt.Sprintf("[%s%s] %3.0f %%", strings.Repeat("#", full), strings.Repeat(".", cells-full), 100*part), ""}
	amount := fmt.Sprintf("%.1f of %.1f MB", float64(p.Done)/1e6, float64(p.Total)/1e6)
	if took := m.at.Sub(m.begin); took > 0 && p.Done > 0 {
		speed := float64(p.Done) / took.Seconds()
		left := time.Duration(float64(p.Total-p.Done) / speed * float64(time.Second))
		amount += fmt.Sprintf(", %.1f MB/s, %v left", speed/1e6, left.Round(time.Second))
	}
	lines = append(lines, amount)
	if p.Again > 0 {
		lines = append(lines, fmt.Sprintf("%.1f MB were fetched again after the connection broke off", float64(p.Again)/1e6))
	}
	return append(lines, "", "Do not switch the machine off. If it goes off all the same, install again:", "a disk that is not finished does not boot.")
}
