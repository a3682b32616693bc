// Package console says things where a person in front of the machine can read
// them, whatever the log level: on every active console, and in the kernel's
// ring buffer for the journal.
package console

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxConsoles bounds what is read from sysfs; Linux has fewer.
	maxConsoles = 16
	// maxLine is the longest text of one line. A record of the ring buffer
	// holds about 1,000 bytes, prefix included.
	maxLine = 900
	// writeTime is how long a console may take: a serial line with flow control
	// and nobody at the other end must not stop the machine from being stopped.
	writeTime = 3 * time.Second
)

// Level is a priority of the kernel's ring buffer (syslog's numbers).
type Level int

// The levels in use. Both are above the built-in command line's loglevel, so
// that the kernel does not print the lines a second time.
const (
	Warning Level = 4
	Info    Level = 6
)

// A Console writes lines to every console of a machine.
type Console struct {
	paths []string
	kmsg  string
}

// Open returns the consoles that the kernel names as active in the tree at
// root ("/" on a machine), and /dev/console where none of them has a device:
// beside them it would be one of them a second time. It opens nothing yet, so it
// cannot fail: what cannot be written to is left out when a line is said.
func Open(root string) *Console {
	c := &Console{kmsg: filepath.Join(root, "dev/kmsg")}
	for _, name := range active(root) {
		path := filepath.Join(root, "dev", name)
		// A console need not be a terminal: one over the network has no device.
		if _, err := os.Lstat(path); err == nil {
			c.paths = append(c.paths, path)
		}
	}
	if len(c.paths) == 0 {
		c.paths = []string{filepath.Join(root, "dev/console")}
	}
	return c
}

// active lists the names in /sys/class/tty/console/active, each once.
func active(root string) []string {
	f, err := os.Open(filepath.Join(root, "sys/class/tty/console/active"))
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil
	}
	var names []string
	for _, name := range strings.Fields(string(text)) {
		if strings.ContainsAny(name, "/.") || len(names) == maxConsoles {
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Say prints one line for each line of the text, with "mangos: " before it.
// Control characters are escaped. It returns when all consoles took the text or
// writeTime is over.
func (c *Console) Say(level Level, format string, args ...any) {
	var lines []string
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		lines = append(lines, "mangos: "+printable(line))
	}
	for _, line := range lines {
		writeTo(c.kmsg, fmt.Sprintf("<%d>%s\n", level, line))
	}
	c.write(strings.Join(lines, "\n") + "\n")
}

// Show prints lines of our own as they are, on the consoles alone: what must not
// be in the journal, or is a picture.
func (c *Console) Show(lines ...string) {
	c.write(strings.Join(lines, "\n") + "\n")
}

func (c *Console) write(text string) {
	var all sync.WaitGroup
	for _, path := range c.paths {
		all.Go(func() { writeTo(path, text) })
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(writeTime):
	}
}

// writeTo writes the text to a device and waits until it left the machine. A
// console that cannot be opened or written has nobody who could be told.
func writeTo(path, text string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return
	}
	// TCSBRK with a non-zero argument is tcdrain; not a terminal: nothing to drain.
	_ = unix.IoctlSetInt(int(f.Fd()), unix.TCSBRK, 1)
}

// printable escapes what is not printable ASCII and cuts at maxLine.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= maxLine {
			b.WriteString("...")
			break
		}
		if r >= 0x20 && r < 0x7f {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// Quote returns text of unknown origin in quotes, escaped, cut after limit bytes.
func Quote(s string, limit int) string {
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
