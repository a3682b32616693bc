// Package screen is the installer on a terminal of 80 columns and 25 lines: the
// disk, the network, what is going to happen, how far it is, and how it ended.
// It needs no colour, and no keys but the arrows and Enter.
package screen

import (
	"context"
	"fmt"
	"io"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/mastercard/mangos/runtime/install"
	"github.com/mastercard/mangos/runtime/installer"
	"github.com/mastercard/mangos/runtime/network"
	"github.com/mastercard/mangos/runtime/target"
)

// Work is what the screen has done for it.
type Work struct {
	List    func() ([]*target.Disk, error)
	Network func(network.Config) error
	Prepare func(context.Context, installer.Options) (*installer.Job, error)
	Run     func(context.Context, *installer.Job, func(install.Progress)) error
}

// End is what a person wants when it is over.
type End string

// What can be wanted.
const (
	Quit     End = "stop"
	Reboot   End = "reboot"
	PowerOff End = "poweroff"
)

// Outcome is how it ended.
type Outcome struct {
	// Job is what was installed, nil if nothing was.
	Job *installer.Job
	// Last is the progress that was told last while the image was written.
	Last install.Progress
	// Err is why the last try failed.
	Err error
	End End
}

// Show shows the screen until a person ends it, or ctx does. options are the
// settings that nobody is asked for.
func Show(ctx context.Context, options installer.Options, work Work, in io.Reader, out io.Writer) (Outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &model{ctx: ctx, work: work, options: options, network: newForm()}
	program := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithAltScreen(), tea.WithoutSignalHandler())
	m.send = program.Send
	if _, err := program.Run(); err != nil {
		return m.outcome, fmt.Errorf("installer's screen: %w", err)
	}
	return m.outcome, nil
}

// page is what is on the screen.
type page int

const (
	disksPage page = iota
	networkPage
	codePage
	waitPage
	summaryPage
	progressPage
	resultPage
)

// model is the state of the screen, bubbletea's way.
type model struct {
	ctx     context.Context
	work    Work
	options installer.Options
	send    func(tea.Msg)

	page    page
	cursor  int
	disks   []*target.Disk
	err     error // what went wrong last, shown on the page
	disk    *target.Disk
	code    input
	network *form
	job     *installer.Job
	meter   meter
	outcome Outcome
}

// Messages of what goes on in the background.
type (
	listed struct {
		disks []*target.Disk
		err   error
	}
	prepared struct {
		job *installer.Job
		err error
	}
	finished struct{ err error }
)

func (m *model) Init() tea.Cmd { return m.list }

func (m *model) list() tea.Msg {
	disks, err := m.work.List()
	return listed{disks, err}
}

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case listed:
		m.disks, m.err, m.cursor = msg.disks, msg.err, 0
	case prepared:
		if m.job = msg.job; msg.err != nil {
			m.end(msg.err)
			break
		}
		m.open(summaryPage)
	case install.Progress:
		if msg.Stage == install.Writing {
			m.outcome.Last = msg
		}
		m.meter.add(msg, time.Now())
	case finished:
		if msg.err == nil {
			m.outcome.Job = m.job
		}
		m.end(msg.err)
	case tea.KeyMsg:
		return m, m.key(msg)
	}
	return m, nil
}

func (m *model) open(p page) { m.page, m.cursor = p, 0 }

func (m *model) end(err error) {
	m.outcome.Err = err
	m.open(resultPage)
}

func (m *model) key(k tea.KeyMsg) tea.Cmd {
	// While it is written nothing but the end of the program stops it.
	if m.page == progressPage || m.page == waitPage {
		return nil
	}
	switch m.page {
	case networkPage:
		return m.networkKey(k)
	case codePage:
		return m.codeKey(k)
	}
	choices := m.choices()
	switch k.Type {
	case tea.KeyUp:
		m.cursor = (m.cursor + len(choices) - 1) % len(choices)
	case tea.KeyDown:
		m.cursor = (m.cursor + 1) % len(choices)
	case tea.KeyEnter:
		m.err = nil
		return choices[m.cursor].do()
	}
	return nil
}

// choice is a line that Enter does something on.
type choice struct {
	text []string
	do   func() tea.Cmd
}

// choices are those of the page.
func (m *model) choices() []choice {
	nothing := func(f func()) func() tea.Cmd { return func() tea.Cmd { f(); return nil } }
	quit := func(end End) func() tea.Cmd { return func() tea.Cmd { m.outcome.End = end; return tea.Quit } }
	back := func() tea.Cmd { m.open(disksPage); return m.list }
	switch m.page {
	case summaryPage:
		return []choice{{[]string{"Back"}, back}, {[]string{"Install"}, m.start}}
	case resultPage:
		if m.outcome.Err != nil {
			return []choice{{[]string{"Back"}, back}, {[]string{"Quit"}, quit(Quit)}}
		}
		return []choice{{[]string{"Restart"}, quit(Reboot)}, {[]string{"Switch off"}, quit(PowerOff)}, {[]string{"Quit"}, quit(Quit)}}
	}
	var all []choice
	for _, d := range m.disks {
		all = append(all, choice{diskLines(d), func() tea.Cmd { return m.pick(d) }})
	}
	return append(all,
		choice{[]string{"Look for disks again"}, back},
		choice{[]string{"Network: " + m.network.String()}, nothing(func() { m.open(networkPage) })},
		choice{[]string{"Quit"}, quit(Quit)})
}

// pick chooses a disk.
func (m *model) pick(d *target.Disk) tea.Cmd {
	if d.Refusal != "" {
		m.err = fmt.Errorf("%s is not to be had: %s", d.Path, d.Refusal)
		return nil
	}
	m.disk, m.code = d, input{limit: len(d.Code()), alphabet: codeAlphabet}
	if d.Contents != "" {
		m.open(codePage)
		return nil
	}
	return m.prepare()
}

func (m *model) prepare() tea.Cmd {
	m.open(waitPage)
	o := m.options
	o.Target, o.Code, o.Proxy = m.disk.Path, m.code.text, m.network.config.Proxy
	return func() tea.Msg {
		job, err := m.work.Prepare(m.ctx, o)
		return prepared{job, err}
	}
}

func (m *model) start() tea.Cmd {
	m.open(progressPage)
	m.meter = meter{}
	job := m.job
	return func() tea.Msg {
		limited := limiter{send: m.send}
		return finished{m.work.Run(m.ctx, job, limited.tell)}
	}
}

func (m *model) codeKey(k tea.KeyMsg) tea.Cmd {
	switch {
	case k.Type == tea.KeyEsc, k.Type == tea.KeyLeft && m.code.text == "":
		m.open(disksPage)
	case k.Type == tea.KeyEnter && m.code.text == m.disk.Code():
		m.err = nil
		return m.prepare()
	case k.Type == tea.KeyEnter:
		m.err = fmt.Errorf("that is not the code")
	default:
		m.code.key(k)
	}
	return nil
}

func (m *model) networkKey(k tea.KeyMsg) tea.Cmd {
	switch m.network.key(k) {
	case formBack:
		m.open(disksPage)
	case formDone:
		config, err := m.network.parse()
		if err == nil {
			err = m.work.Network(config)
		}
		if m.err = err; err == nil {
			m.network.config = config
			m.open(disksPage)
		}
	}
	return nil
}

// limiter passes progress on, but not more often than a terminal shows it.
type limiter struct {
	send  func(tea.Msg)
	stage install.Stage
	last  time.Time
}

func (l *limiter) tell(p install.Progress) {
	const pause = 200 * time.Millisecond
	if now := time.Now(); p.Stage != l.stage || now.Sub(l.last) >= pause || p.Done == p.Total {
		l.stage, l.last = p.Stage, now
		l.send(p)
	}
}
