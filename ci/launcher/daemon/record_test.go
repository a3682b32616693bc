package daemon

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// own is a record of the process that runs this test.
func own(t testing.TB, state string) *Record {
	t.Helper()
	ticks, err := startTicks(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return &Record{
		Config: Config{State: state, Bin: "/bin", Digest: "sha256:00", Env: []string{"https_proxy=http://proxy.example"}},
		PID:    os.Getpid(), Ticks: ticks, Started: time.Unix(1764000000, 0).UTC(),
	}
}

func TestFind(t *testing.T) {
	state := t.TempDir()
	if r, err := Find(state); r != nil || err != nil {
		t.Errorf("no record: %+v, %v", r, err)
	}
	write := func(change func(*Record)) *Record {
		t.Helper()
		r := own(t, state)
		change(r)
		if err := writeJSON(recordPath(state), r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	want := write(func(*Record) {})
	if r, err := Find(state); err != nil || r == nil || r.PID != want.PID || !r.Config.Equal(want.Config) {
		t.Errorf("its process runs: %+v, %v", r, err)
	}
	for name, change := range map[string]func(*Record){
		"another process took the number": func(r *Record) { r.Ticks++ },
		"a process of no number":          func(r *Record) { r.PID = 0 },
		"a group of processes":            func(r *Record) { r.PID = -r.PID },
	} {
		write(change)
		if r, err := Find(state); r != nil || err != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestAnswers: who only takes connections, or speaks another protocol, is no engine.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		want bool
	}{
		"an engine":        {"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", true},
		"nothing":          {"", false},
		"half a frame":     {"\x00\x00\x06\x04", false},
		"another frame":    {"\x00\x00\x00\x07\x00\x00\x00\x00\x00", false},
		"on a stream":      {"\x00\x00\x00\x04\x00\x00\x00\x00\x01", false},
		"an older version": {"HTTP/1.1 400 Bad Request\r\n\r\n", false},
	} {
		state := t.TempDir()
		l, err := net.Listen("unix", socketPath(state))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				io.WriteString(conn, c.says)
			}
		}()
		if got := answersWithin(state, 200*time.Millisecond); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		l.Close()
	}
	if Answers(t.TempDir()) {
		t.Error("nobody listens, and an engine answers")
	}
}

// FuzzRecord reads what may lie in a state folder, as engine.json and as start.json. A torn
// record is no error where an engine is looked for: another one can be started.
func FuzzRecord(f *testing.F) {
	seed := filepath.Join(f.TempDir(), "seed")
	if err := writeJSON(seed, own(f, "/state")); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(seed)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{text, text[:len(text)/2], nil, []byte("null"), []byte(`{"pid":-1}`), []byte(`{"ticks":1e30}`)} {
		f.Add(seed)
	}
	state := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(recordPath(state), text[:min(len(text), 64<<10)], 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Find(state)
		if err != nil {
			t.Fatal(err)
		}
		if found != nil {
			if ticks, err := startTicks(found.PID); err != nil || ticks != found.Ticks {
				t.Fatalf("process %d since %d is another one: %d, %v", found.PID, found.Ticks, ticks, err)
			}
		}
		r, err := unmarshalRecord(recordPath(state))
		if err != nil {
			if found != nil {
				t.Fatalf("found, and not read: %v", err)
			}
			return
		}
		if err := writeJSON(recordPath(state), r); err != nil {
			t.Fatal(err)
		}
		again, err := unmarshalRecord(recordPath(state))
		if err != nil || !again.Config.Equal(r.Config) || again.Network != r.Network || again.PID != r.PID || again.Ticks != r.Ticks {
			t.Fatalf("%+v is read back as %+v, %v", r, again, err)
		}
	})
}
