package journal

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parse reads the protocol.
func parse(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for len(raw) > 0 {
		name, rest, ok := bytes.Cut(raw, []byte("\n"))
		if !ok || len(rest) < 8 {
			t.Fatalf("cut off: %q", raw)
		}
		n := binary.LittleEndian.Uint64(rest)
		fields[string(name)] = string(rest[8 : 8+n])
		raw = rest[8+n+1:]
	}
	return fields
}

func TestFields(t *testing.T) {
	dir, err := os.MkdirTemp("", "journal") // the name of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	log := slog.New(New(path, "proxy", slog.LevelInfo, nil)).With("repository", "mangos")
	log.Debug("not logged")
	log.Warn("in vain", "status", 502, "error", "two\nlines PRIORITY=0", "9x", strings.Repeat("x", 2*maxValue))
	raw := make([]byte, 64<<10)
	n, err := conn.Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, raw[:n])
	for name, want := range map[string]string{
		"SYSLOG_IDENTIFIER": "proxy", "PRIORITY": "4", "REPOSITORY": "mangos", "STATUS": "502", "ERROR": "two\nlines PRIORITY=0",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if !strings.HasPrefix(got["MESSAGE"], `in vain status="502" error="two\nlines`) || len(got["X9X"]) != maxValue {
		t.Errorf("%.100q, %d", got["MESSAGE"], len(got["X9X"]))
	}
}

func TestWithoutJournal(t *testing.T) {
	var b bytes.Buffer
	slog.New(New("/nowhere", "proxy", slog.LevelInfo, &b)).Info("hello", "a", 1)
	if !strings.Contains(b.String(), "msg=hello a=1") {
		t.Errorf("%q", b.String())
	}
}
