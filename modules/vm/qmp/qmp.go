// Package qmp speaks the QEMU Machine Protocol: one JSON object a line, a greeting first,
// then commands with their replies, and events in between (docs/interop/qmp-spec.rst).
//
// The other end runs a guest that may be hostile: a line is bounded, and what does not
// parse ends the session.
package qmp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// MaxLine is the longest line, in bytes, that is read.
const MaxLine = 1 << 20

var (
	// ErrMalformed says that a line is not a message of the protocol.
	ErrMalformed = errors.New("malformed message")
	// ErrRefused wraps what QEMU answered to a command that it did not carry out.
	ErrRefused = errors.New("command refused")
	// ErrClosed says that the session ended before the reply came.
	ErrClosed = errors.New("session closed")
)

// Event is something that happened to the machine.
type Event struct {
	Name string          // such as SHUTDOWN or GUEST_PANICKED
	Data json.RawMessage // its arguments; may be nil
}

// message is any line that QEMU sends; Kind tells which of its parts counts.
type message struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
	ID    *uint64         `json:"id"`
}

// parse reads one line. Exactly one of the parts that make a message is present.
func parse(line []byte) (message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	n := 0
	for _, present := range []bool{m.Greeting != nil, m.Return != nil, m.Error != nil, m.Event != ""} {
		if present {
			n++
		}
	}
	if n != 1 {
		return message{}, fmt.Errorf("%w: %d kinds in one line", ErrMalformed, n)
	}
	return m, nil
}

// Session is one connection to QEMU. Do may be called by several goroutines.
type Session struct {
	conn   io.ReadWriteCloser
	events func(Event)

	mu      sync.Mutex // guards all below, and writing to conn
	next    uint64
	waiting map[uint64]chan message
	err     error // why the session ended; set once done is closed
	done    chan struct{}
}

// Open reads the greeting from conn, asks for command mode and returns the session.
// Each event is handed to events, in order, by one goroutine: it must not call Do.
func Open(conn io.ReadWriteCloser, events func(Event)) (*Session, error) {
	r := bufio.NewReaderSize(conn, 4096)
	line, err := readLine(r)
	if err != nil {
		return nil, fmt.Errorf("read qmp greeting: %w", err)
	}
	if m, err := parse(line); err != nil {
		return nil, fmt.Errorf("read qmp greeting: %w", err)
	} else if m.Greeting == nil {
		return nil, fmt.Errorf("read qmp greeting: %w: no greeting", ErrMalformed)
	}
	s := &Session{conn: conn, events: events, waiting: map[uint64]chan message{}, done: make(chan struct{})}
	go s.read(r)
	if err := s.Do("qmp_capabilities", nil, nil); err != nil {
		return nil, err
	}
	return s, nil
}

// Do carries out a command with its arguments and, where result is not nil, decodes the
// reply into it.
func (s *Session) Do(command string, arguments, result any) error {
	reply := make(chan message, 1)
	if err := s.send(command, arguments, reply); err != nil {
		return fmt.Errorf("qmp %s: %w", command, err)
	}
	var m message
	select {
	case m = <-reply:
	case <-s.done:
		select { // the reply may have been the last thing that came
		case m = <-reply:
		default:
			return fmt.Errorf("qmp %s: %w: %w", command, ErrClosed, s.err)
		}
	}
	if m.Error != nil {
		return fmt.Errorf("qmp %s: %w: %q", command, ErrRefused, m.Error.Desc)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Return, result); err != nil {
		return fmt.Errorf("qmp %s: %w: %w", command, ErrMalformed, err)
	}
	return nil
}

func (s *Session) send(command string, arguments any, reply chan message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return fmt.Errorf("%w: %w", ErrClosed, s.err)
	default:
	}
	s.next++
	line, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, arguments, s.next})
	if err != nil {
		return err
	}
	s.waiting[s.next] = reply
	if _, err := s.conn.Write(append(line, '\n')); err != nil {
		delete(s.waiting, s.next)
		return err
	}
	return nil
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

func (s *Session) read(r *bufio.Reader) {
	err := s.readAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	close(s.done)
}

func (s *Session) readAll(r *bufio.Reader) error {
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		m, err := parse(line)
		if err != nil {
			return err
		}
		switch {
		case m.Event != "":
			s.events(Event{Name: m.Event, Data: m.Data})
		case m.ID != nil:
			s.mu.Lock()
			reply := s.waiting[*m.ID]
			delete(s.waiting, *m.ID)
			s.mu.Unlock()
			if reply == nil {
				return fmt.Errorf("%w: reply to command %d, which waits for none", ErrMalformed, *m.ID)
			}
			reply <- m
		default:
			return fmt.Errorf("%w: reply to no command", ErrMalformed)
		}
	}
}

// readLine returns the next line without its end, at most MaxLine bytes.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > MaxLine {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrMalformed, MaxLine)
		}
		line = append(line, part...)
		if err == nil {
			return line[:len(line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}
