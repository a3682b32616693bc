package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a fake machine with the given active consoles, devices as files.
func tree(t *testing.T, active string, devices ...string) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "sys/class/tty/console/active"), active)
	for _, d := range append(devices, "kmsg") {
		write(t, filepath.Join(root, "dev", d), "")
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSayReachesEveryActiveConsoleAndTheRingBuffer(t *testing.T) {
	root := tree(t, "tty0 ttyS0\n", "tty0", "ttyS0", "ttyS1")
	Open(root).Say(Warning, "refused [%s]: two\nlines", "x")
	want := "mangos: refused [x]: two\nmangos: lines\n"
	for _, d := range []string{"tty0", "ttyS0"} {
		if got := read(t, filepath.Join(root, "dev", d)); got != want {
			t.Errorf("%s got %q, want %q", d, got, want)
		}
	}
	if got := read(t, filepath.Join(root, "dev/ttyS1")); got != "" {
		t.Errorf("a console that is not active got %q", got)
	}
	if got := read(t, filepath.Join(root, "dev/kmsg")); !strings.HasPrefix(got, "<4>mangos: refused [x]: two\n") {
		t.Errorf("ring buffer got %q", got)
	}
}

// /dev/console is written to where no active console can be, and not beside one: it is
// one of them.
func TestSayUsesDevConsole(t *testing.T) {
	for name, c := range map[string]struct{ active, device, want string }{
		"no active console":          {"", "tty0", "mangos: hello\n"},
		"no device of an active one": {"netcon0", "tty0", "mangos: hello\n"},
		"a device of one of two":     {"netcon0 tty0", "tty0", ""},
	} {
		root := tree(t, c.active, c.device, "console")
		Open(root).Say(Info, "hello")
		if got := read(t, filepath.Join(root, "dev/console")); got != c.want {
			t.Errorf("%s: /dev/console got %q, want %q", name, got, c.want)
		}
		if got := read(t, filepath.Join(root, "dev", c.device)); (got == "") != (c.want != "") {
			t.Errorf("%s: %s got %q", name, c.device, got)
		}
	}
	root := t.TempDir() // without sysfs
	write(t, filepath.Join(root, "dev/console"), "")
	Open(root).Say(Info, "hello")
	if got := read(t, filepath.Join(root, "dev/console")); got != "mangos: hello\n" {
		t.Errorf("got %q", got)
	}
}

func TestSayEscapesControlCharacters(t *testing.T) {
	root := tree(t, "tty0", "tty0")
	Open(root).Say(Info, "%s", "a\x1b[2Jb\x00\u202e"+strings.Repeat("x", 5000))
	got := read(t, filepath.Join(root, "dev/tty0"))
	if strings.ContainsAny(got, "\x1b\x00") || !strings.HasPrefix(got, `mangos: a\x1b[2Jb\x00\u202e`) {
		t.Errorf("got %q", got[:60])
	}
	if len(got) > 1000 {
		t.Errorf("a line of %d bytes", len(got))
	}
}

func TestActiveIgnoresPaths(t *testing.T) {
	root := tree(t, "../etc/passwd tty0 tty0 a/b")
	if got := active(root); len(got) != 1 || got[0] != "tty0" {
		t.Errorf("got %q", got)
	}
}

func TestQuote(t *testing.T) {
	if got := Quote("a\nb", 10); got != `"a\nb"` {
		t.Errorf("got %s", got)
	}
	if got := Quote("abcdef", 3); got != `"abc"...` {
		t.Errorf("got %s", got)
	}
}

func TestShowStaysOutOfTheRingBuffer(t *testing.T) {
	root := tree(t, "tty0 ttyS0\n", "tty0", "ttyS0")
	Open(root).Show("█ secret", "line")
	for _, d := range []string{"tty0", "ttyS0"} {
		if got := read(t, filepath.Join(root, "dev", d)); got != "█ secret\nline\n" {
			t.Errorf("%s got %q", d, got)
		}
	}
	if got := read(t, filepath.Join(root, "dev/kmsg")); got != "" {
		t.Errorf("the ring buffer got %q", got)
	}
}
