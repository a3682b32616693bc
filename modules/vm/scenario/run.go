package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mastercard/mangos/modules/vm/machine"
	"github.com/mastercard/mangos/modules/vm/probe"
)

// maxLines bounds what is kept of a console.
const maxLines = 50000

var (
	// ErrEnded says that the machine came to an end while an answer was awaited.
	ErrEnded = errors.New("the machine ended")
	// ErrGuest wraps what the probe answered to a request that it could not meet.
	ErrGuest = errors.New("the guest answers")
)

// Run is one power-on of a machine, as far as it has gone. It is used by one goroutine.
type Run struct {
	machine  *machine.Machine
	taken    []machine.Event // from the machine, and not looked at yet
	deadline <-chan time.Time
	asked    uint64

	// Lines is what the console showed.
	Lines []string
	// Ending and Why tell how the machine came to its end; Ending is "" or Ready while it runs.
	Ending Ending
	Why    string
	At     time.Duration // of the last event
	panic  string        // the kernel's first words of a panic
}

// next takes one event, and returns the ending that it stands for.
func (r *Run) next(ctx context.Context) (machine.Event, Ending, string) {
	if len(r.taken) > 0 {
		e := r.taken[0]
		r.taken = r.taken[1:]
		return r.see(e)
	}
	select {
	case e, ok := <-r.machine.Events():
		if !ok {
			return machine.Event{}, Gone, "no more events"
		}
		return r.see(e)
	case <-r.deadline:
		return machine.Event{}, Deadline, ""
	case <-ctx.Done():
		return machine.Event{}, Deadline, context.Cause(ctx).Error()
	}
}

func (r *Run) see(e machine.Event) (machine.Event, Ending, string) {
	r.At = e.At
	r.note(e)
	ending, why := classify(e)
	return e, ending, why
}

// until runs the machine to its next ending. Endings in passing are not final: a boot
// loader that was denied one program may take another.
func (r *Run) until(ctx context.Context, passing ...Ending) {
	for {
		_, ending, why := r.next(ctx)
		if ending == "" || slices.Contains(passing, ending) {
			continue
		}
		r.end(ending, why)
		return
	}
}

// end notes how the machine ended and, unless it is a start, switches it off.
func (r *Run) end(ending Ending, why string) {
	if ending != Ready && ending != Gone {
		r.drain()
	}
	if ending == Panic && r.panic != "" {
		why = r.panic
	}
	r.Ending, r.Why = ending, why
}

// drain ends QEMU and takes what is still on its way: an event of the monitor may overtake
// the console's lines that came before it.
func (r *Run) drain() {
	// Where it fails QEMU is gone or going, and the last event comes all the same.
	r.machine.Do("quit", nil, nil)
	limit := time.After(30 * time.Second)
	for {
		select {
		case e, ok := <-r.machine.Events():
			if !ok || e.Kind == machine.End {
				return
			}
			r.note(e)
		case <-limit:
			return
		}
	}
}

// note keeps a line of the console.
func (r *Run) note(e machine.Event) {
	if e.Kind != machine.Console || len(r.Lines) >= maxLines {
		return
	}
	r.Lines = append(r.Lines, e.Text)
	if r.panic == "" && strings.Contains(e.Text, panicText) {
		r.panic = e.Text
	}
}

// ask sends a request to the probe and waits for the answer, or for the machine's end.
func (r *Run) ask(ctx context.Context, op probe.Op, path string) (probe.Reply, error) {
	r.asked++
	request := probe.Request{ID: r.asked, Op: op, Path: path}
	line, err := json.Marshal(request)
	if err != nil {
		return probe.Reply{}, fmt.Errorf("ask for %s %s: %w", op, path, err)
	}
	if err := r.machine.Send(line); err != nil {
		return probe.Reply{}, fmt.Errorf("ask for %s %s: %w", op, path, err)
	}
	for {
		e, ending, why := r.next(ctx)
		if e.Kind == machine.Message && ending != Ready {
			reply, err := probe.ParseReply([]byte(e.Text))
			if err != nil {
				return probe.Reply{}, fmt.Errorf("ask for %s %s: %w", op, path, err)
			}
			if reply.ID != request.ID {
				continue
			}
			if reply.Error != "" {
				return reply, fmt.Errorf("ask for %s %s: %w: %q", op, path, ErrGuest, reply.Error)
			}
			return reply, nil
		}
		if ending != "" && ending != Denied {
			r.end(ending, why)
			return probe.Reply{}, fmt.Errorf("ask for %s %s: %w: %s %s", op, path, ErrEnded, ending, r.Why)
		}
	}
}

// says tells whether a line of the console contains text.
func (r *Run) says(text string) bool {
	for _, line := range r.Lines {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// find returns the first line of the console that matches, or "".
func (r *Run) find(pattern *regexp.Regexp) string {
	for _, line := range r.Lines {
		if pattern.MatchString(line) {
			return line
		}
	}
	return ""
}

// String tells how the machine ended and what it said last, for a failed row.
func (r *Run) String() string {
	ending := string(r.Ending)
	if ending == "" {
		ending = "still running"
	}
	if r.Why != "" {
		ending += fmt.Sprintf(" (%q)", r.Why)
	}
	return fmt.Sprintf("%s after %.0f s", ending, r.At.Seconds())
}
