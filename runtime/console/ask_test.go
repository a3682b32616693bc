package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keyboard is the other end of a pseudo terminal that is a console.
type keyboard struct {
	*os.File
	shown *bufio.Reader
}

// pty makes a pseudo terminal and returns its name.
func pty(t *testing.T) (keyboard, string) {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here (%v): questions are not tested", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/dev/pts/%d", n)
	// As long as somebody has it open the terminal stays.
	held, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	return keyboard{f, bufio.NewReader(f)}, path
}

// await reads what the terminal shows until the text is there.
func (k keyboard) await(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	for !strings.Contains(all.String(), text) {
		r, _, err := k.shown.ReadRune()
		if err != nil {
			t.Errorf("%v after %q", err, all.String())
			break
		}
		all.WriteRune(r)
	}
	return all.String()
}

func (k keyboard) typed(t *testing.T, text string) {
	t.Helper()
	if _, err := k.WriteString(text); err != nil {
		t.Error(err)
	}
}

func TestAsk(t *testing.T) {
	one, onePath := pty(t)
	two, twoPath := pty(t)
	file := filepath.Join(t.TempDir(), "no-terminal")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Console{paths: []string{onePath, file, twoPath, "/nowhere"}, kmsg: filepath.Join(t.TempDir(), "kmsg")}
	var answers []string
	done := make(chan error, 1)
	go func() {
		done <- c.Ask(t.Context(), "Key: ", func(answer string) error {
			answers = append(answers, answer)
			if answer != "right\n" {
				return errors.New("that is wrong")
			}
			return nil
		})
	}()
	one.await(t, "Key: ")
	two.await(t, "Key: ")
	one.typed(t, "wrong\r")
	two.await(t, "that is wrong")
	two.await(t, "Key: ")
	two.typed(t, "right\n")
	if err := <-done; err != nil || strings.Join(answers, "") != "wrong\nright\n" {
		t.Errorf("%v, %q", err, answers)
	}
	// The terminal shows again what is typed, and nothing of the answers.
	shown := one.await(t, "Key: ") + one.await(t, "\n")
	one.typed(t, "echo")
	if shown += one.await(t, "echo"); strings.Contains(shown, "right") || strings.Contains(shown, "\nwrong") {
		t.Errorf("shown: %q", shown)
	}
}

func TestAskEnds(t *testing.T) {
	c := &Console{paths: []string{"/nowhere"}}
	if err := c.Ask(t.Context(), "Key: ", nil); !errors.Is(err, ErrNobody) {
		t.Errorf("without a terminal: %v", err)
	}
	k, path := pty(t)
	c.paths = []string{path}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Ask(ctx, "Key: ", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody answers: %v", err)
	}
	go func() {
		k.await(t, "Key: ")
		_ = k.Close()
	}()
	if err := c.Ask(t.Context(), "Key: ", nil); !errors.Is(err, ErrNobody) {
		t.Errorf("the terminal is gone: %v", err)
	}
}
