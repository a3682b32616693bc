package qmp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

const greeting = `{"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}}, "capabilities": ["oob"]}}` + "\n"

// serve plays QEMU: it sends the greeting, then for each command what answer returns.
func serve(t *testing.T, answer func(command string, id uint64) string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go func() {
		defer theirs.Close()
		fmt.Fprint(theirs, greeting)
		lines := bufio.NewScanner(theirs)
		for lines.Scan() {
			var c struct {
				Execute string `json:"execute"`
				ID      uint64 `json:"id"`
			}
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				return
			}
			if c.Execute == "qmp_capabilities" {
				fmt.Fprintf(theirs, `{"return": {}, "id": %d}`+"\n", c.ID)
				continue
			}
			fmt.Fprint(theirs, answer(c.Execute, c.ID))
		}
	}()
	return ours
}

func TestSession(t *testing.T) {
	var seen []Event
	conn := serve(t, func(command string, id uint64) string {
		if command == "bad" {
			return fmt.Sprintf(`{"id": %d, "error": {"class": "CommandNotFound", "desc": "no such command"}}`+"\n", id)
		}
		return `{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}` + "\n" +
			fmt.Sprintf(`{"return": {"status": "paused"}, "id": %d}`+"\n", id)
	})
	s, err := Open(conn, func(e Event) { seen = append(seen, e) })
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Status string }
	if err := s.Do("query-status", nil, &status); err != nil || status.Status != "paused" {
		t.Errorf("status %q, %v", status.Status, err)
	}
	if len(seen) != 1 || seen[0].Name != "STOP" {
		t.Errorf("events %v", seen)
	}
	if err := s.Do("bad", nil, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("a refused command gave %v", err)
	}
	conn.Close()
	<-s.Done()
	if err := s.Do("query-status", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a command on a closed session gave %v", err)
	}
}

func TestSessionEndsOnMalformed(t *testing.T) {
	for _, answer := range []string{
		"not json\n",
		`{"return": {}}` + "\n",
		`{"return": {}, "id": 99}` + "\n",
		`{"return": {}, "event": "STOP", "id": 2}` + "\n",
		`{}` + "\n",
		strings.Repeat("x", MaxLine+2) + "\n",
	} {
		s, err := Open(serve(t, func(string, uint64) string { return answer }), func(Event) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Do("query-status", nil, nil); !errors.Is(err, ErrMalformed) || !errors.Is(err, ErrClosed) {
			t.Errorf("%.40q gave %v", answer, err)
		}
	}
}

func TestOpenWantsGreeting(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() { fmt.Fprintln(theirs, `{"event": "STOP"}`); theirs.Close() }()
	if _, err := Open(ours, func(Event) {}); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(greeting))
	f.Add([]byte(`{"return": {}, "id": 1}`))
	f.Add([]byte(`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}`))
	f.Add([]byte(`{"id": 1, "error": {"class": "GenericError", "desc": "x"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if m, err := parse(line); err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%v is not ErrMalformed", err)
		} else if err == nil && m.Event == "" && m.Greeting == nil && m.Return == nil && m.Error == nil {
			t.Error("accepted a message of no kind")
		}
		// The reader gives the same line back, whatever is in it.
		if !bytes.ContainsRune(line, '\n') && len(line) < MaxLine {
			got, err := readLine(bufio.NewReaderSize(bytes.NewReader(append(bytes.Clone(line), '\n')), 16))
			if err != nil || !bytes.Equal(got, line) {
				t.Errorf("read %q, %v", got, err)
			}
		}
	})
}
