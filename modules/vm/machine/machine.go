// Package machine runs a virtual PC: QEMU, OVMF with Secure Boot, and a software TPM. What
// the guest does is one stream of [Event]s: lines of the serial console, events of QEMU,
// lines of the virtio port that a probe in the guest speaks on, and the end.
//
// Everything the machine says comes from a guest that may be hostile: it is bounded and
// cleaned before it is handed on. Child processes end with this program.
package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/mastercard/mangos/modules/vm/console"
	"github.com/mastercard/mangos/modules/vm/qmp"
)

// Kind tells where an event comes from.
type Kind int

const (
	// Console is a line of the serial console.
	Console Kind = iota
	// Prompt is a line of the serial console that has not ended: it may grow.
	Prompt
	// Monitor is an event of QEMU.
	Monitor
	// Message is a line that came over the virtio port.
	Message
	// End is the last event: QEMU has gone.
	End
)

// Event is something that the machine did.
type Event struct {
	At   time.Duration // since power-on
	Kind Kind
	Text string          // Console, Prompt, Message: the line; Monitor: the event's name; End: how
	Data json.RawMessage // Monitor: the event's arguments
}

// Limits of what one machine may write to its logs, in bytes.
const (
	maxConsole = 16 << 20
	maxMessage = 4 << 20
)

// ErrEnded says that the machine is not running any more.
var ErrEnded = errors.New("machine has ended")

// Machine is a running virtual PC. Close it in any case.
type Machine struct {
	qemu, tpm *process
	session   *qmp.Session
	port      *os.File
	began     time.Time
	events    chan Event
	stop      chan struct{} // closed by Close: nobody reads events any more
	readers   sync.WaitGroup
	closing   sync.Once
	files     []*os.File
}

// Start powers the machine on. The context bounds the start alone.
func Start(ctx context.Context, c Config) (*Machine, error) {
	m := &Machine{events: make(chan Event, 256), stop: make(chan struct{})}
	if err := m.start(ctx, c); err != nil {
		m.Close()
		return nil, fmt.Errorf("start machine: %w%s", err, m.complaint(c.Dir))
	}
	return m, nil
}

func (m *Machine) start(ctx context.Context, c Config) error {
	accel := c.Accel
	if accel == "" {
		accel, _ = PickAccel() // without KVM it is slower, nothing else
	}
	args, err := c.arguments(accel)
	if err != nil {
		return err
	}
	log, err := m.create(c.Dir, "qemu.log")
	if err != nil {
		return err
	}
	consoleLog, err := m.create(c.Dir, "console.log")
	if err != nil {
		return err
	}
	// In the order of the descriptor numbers.
	var ours, theirs [4]*os.File
	closeTheirs := func() {
		for _, f := range theirs {
			if f != nil {
				f.Close() // twice does no harm
			}
		}
	}
	defer closeTheirs()
	for i, name := range []string{"console", "monitor", "port", "tpm"} {
		open := channel
		if name == "console" {
			open = pipe
		}
		if ours[i], theirs[i], err = open(name); err != nil {
			return err
		}
		m.files = append(m.files, ours[i])
	}
	if c.TPM != "" {
		if m.tpm, err = startTPM("swtpm", c.TPM, ours[3], log); err != nil {
			return err
		}
	}
	ours[3].Close() // swtpm's now, and nobody's without a TPM
	cmd := exec.Command("qemu-system-x86_64", args...)
	cmd.ExtraFiles = theirs[:]
	cmd.Stdout, cmd.Stderr = log, log
	if m.qemu, err = start(cmd); err != nil {
		return err
	}
	closeTheirs() // so that our ends see QEMU's end
	m.began, m.port = time.Now(), ours[2]
	m.run(func() { m.readConsole(ours[0], consoleLog) })
	m.run(func() { m.readPort(ours[2]) })
	return m.connect(ctx, ours[1])
}

// connect opens the monitor and lets the guest run.
func (m *Machine) connect(ctx context.Context, conn *os.File) error {
	stop := context.AfterFunc(ctx, func() { m.qemu.kill() })
	defer stop()
	var err error
	m.session, err = qmp.Open(conn, func(e qmp.Event) { m.emit(Event{Kind: Monitor, Text: e.Name, Data: e.Data}) })
	if err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if err := m.session.Do("cont", nil, nil); err != nil {
		return err
	}
	go m.awaitEnd()
	return nil
}

// awaitEnd sends the last event after all others.
func (m *Machine) awaitEnd() {
	<-m.qemu.done
	<-m.session.Done()
	m.readers.Wait()
	how := "qemu exited"
	if m.qemu.err != nil {
		how = "qemu: " + m.qemu.err.Error()
	}
	m.emit(Event{Kind: End, Text: how})
	close(m.events)
}

// Events is closed after the event End.
func (m *Machine) Events() <-chan Event { return m.events }

// Send writes one line to the virtio port.
func (m *Machine) Send(line []byte) error {
	if err := m.port.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return fmt.Errorf("send to the guest: %w", err)
	}
	if _, err := m.port.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("send to the guest: %w", err)
	}
	return nil
}

// Do carries out a command of the QEMU Machine Protocol.
func (m *Machine) Do(command string, arguments, result any) error {
	return m.session.Do(command, arguments, result)
}

// Close switches the machine off, waits for its processes and closes its logs.
func (m *Machine) Close() {
	m.closing.Do(func() {
		close(m.stop)
		if m.qemu != nil {
			m.qemu.kill()
		}
		for _, f := range m.files {
			f.Close()
		}
		m.readers.Wait()
		if m.tpm != nil {
			// It ends by itself when QEMU's end of its channel closes, writing its state;
			// killing it is for one that does not.
			select {
			case <-m.tpm.done:
			case <-time.After(10 * time.Second):
				m.tpm.kill()
			}
		}
	})
}

func (m *Machine) run(f func()) {
	m.readers.Add(1)
	go func() { defer m.readers.Done(); f() }()
}

func (m *Machine) emit(e Event) {
	e.At = time.Since(m.began)
	select {
	case m.events <- e:
	case <-m.stop:
	}
}

func (m *Machine) create(dir, name string) (*os.File, error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err == nil {
		m.files = append(m.files, f)
	}
	return f, err
}

// readConsole hands on what the guest writes to its serial port, until that closes.
func (m *Machine) readConsole(r io.Reader, log io.Writer) {
	var s console.Splitter
	buf := make([]byte, 4096)
	logged := 0
	for {
		n, err := r.Read(buf)
		if logged < maxConsole {
			// A log that cannot be written must not stop the machine: the events count.
			log.Write(buf[:n])
			logged += n
		}
		for _, line := range s.Write(buf[:n]) {
			m.emit(Event{Kind: Console, Text: line})
		}
		if p := s.Pending(); n > 0 && p != "" {
			m.emit(Event{Kind: Prompt, Text: p})
		}
		if err != nil {
			return
		}
	}
}

// readPort hands on what the probe writes. A line that is too long ends the reading: there
// is no way to find the next one that the guest could not forge, and no need.
func (m *Machine) readPort(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxMessage)
	for lines.Scan() {
		m.emit(Event{Kind: Message, Text: lines.Text()})
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		m.emit(Event{Kind: Message, Text: fmt.Sprintf("a line of more than %d bytes", maxMessage)})
		io.Copy(io.Discard, r)
	}
}

// complaint returns the end of what QEMU and swtpm said, for an error message.
func (m *Machine) complaint(dir string) string {
	log, err := os.ReadFile(filepath.Join(dir, "qemu.log"))
	if err != nil || len(log) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", lastBytes(log, 600))
}
