// Package journal is a handler for log/slog that gives attributes to journald as
// fields of their own.
package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
)

// Socket is where journald listens for its own protocol: systemd's "Native Journal
// Protocol".
const Socket = "/run/systemd/journal/socket"

// New returns a handler for records from level on. Where journald is not there
// records go to fallback, as text.
func New(socket, identifier string, level slog.Leveler, fallback io.Writer) slog.Handler {
	text := slog.NewTextHandler(fallback, &slog.HandlerOptions{Level: level})
	if _, err := os.Stat(socket); err != nil {
		return text
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return text
	}
	return &handler{conn: conn, identifier: identifier, level: level}
}

type handler struct {
	conn       io.Writer
	identifier string
	level      slog.Leveler
	prefix     string
	fields     []byte
}

// maxValue bounds a field: a datagram must hold the record.
const maxValue = 8 << 10

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b bytes.Buffer
	field(&b, "SYSLOG_IDENTIFIER", h.identifier)
	field(&b, "PRIORITY", priority(r.Level))
	var text strings.Builder
	text.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		field(&b, h.prefix+a.Key, a.Value.Resolve().String())
		text.WriteString(" " + a.Key + "=" + strconv.Quote(a.Value.Resolve().String()))
		return true
	})
	field(&b, "MESSAGE", text.String())
	b.Write(h.fields)
	_, err := h.conn.Write(b.Bytes())
	return err
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b bytes.Buffer
	b.Write(h.fields)
	for _, a := range attrs {
		field(&b, h.prefix+a.Key, a.Value.Resolve().String())
	}
	next := *h
	next.fields = b.Bytes()
	return &next
}

func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.prefix += name + "_"
	return &next
}

// field appends a field in the form that takes any bytes: the name, a newline, the
// length, the value, a newline.
func field(b *bytes.Buffer, name, value string) {
	if len(value) > maxValue {
		value = value[:maxValue]
	}
	b.WriteString(fieldName(name))
	b.WriteByte('\n')
	_ = binary.Write(b, binary.LittleEndian, uint64(len(value)))
	b.WriteString(value)
	b.WriteByte('\n')
}

// fieldName is a name that journald takes: upper-case letters, digits, and
// underscores, a letter first.
func fieldName(name string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '_'
	}, name)
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		s = "X" + s
	}
	return s[:min(len(s), 64)]
}

// priority is syslog's number.
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "3"
	case l >= slog.LevelWarn:
		return "4"
	case l >= slog.LevelInfo:
		return "6"
	}
	return "7"
}
