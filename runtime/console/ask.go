package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNobody: there is no terminal that somebody could answer on.
var ErrNobody = errors.New("no console is a terminal")

// maxAnswer bounds how long a line may be that somebody types.
const maxAnswer = 1024

// Ask asks on every console that is a terminal, without showing what is typed,
// until accept takes an answer, nobody can give one any more, or ctx ends. Why
// accept does not take one is said; it must not repeat the answer.
func (c *Console) Ask(ctx context.Context, question string, accept func(answer string) error) error {
	lines := make(chan string)
	stop := make(chan struct{})
	defer close(stop)
	gone := make(chan struct{})
	asked := 0
	for _, path := range c.paths {
		t, err := openTerminal(path)
		if err != nil {
			continue // a console that is no terminal has nobody to ask
		}
		asked++
		defer t.close()
		go func() {
			t.read(lines, stop)
			select {
			case gone <- struct{}{}:
			case <-stop:
			}
		}()
	}
	c.write(question)
	for asked > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("ask on the consoles: %w", ctx.Err())
		case <-gone:
			asked--
		case answer := <-lines:
			c.write("\n")
			err := accept(answer)
			if err == nil {
				return nil
			}
			c.Say(Warning, "%v", err)
			c.write(question)
		}
	}
	return ErrNobody
}

// A terminal that shows nothing of what is typed.
type terminal struct {
	file  *os.File
	fd    int
	state *unix.Termios
}

func openTerminal(path string) (*terminal, error) {
	// Not blocking: closing the file ends a read.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err == nil {
		hidden := *state
		hidden.Lflag = hidden.Lflag&^unix.ECHO | unix.ICANON
		hidden.Iflag |= unix.ICRNL
		// What was typed before the question is no answer.
		err = unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &terminal{file: os.NewFile(uintptr(fd), path), fd: fd, state: state}, nil
}

// read sends lines until the terminal is closed or gone. A line that is too long
// is sent cut.
func (t *terminal) read(lines chan<- string, stop <-chan struct{}) {
	r := bufio.NewReaderSize(t.file, maxAnswer)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		select {
		case lines <- string(line):
		case <-stop:
			return
		}
	}
}

func (t *terminal) close() {
	_ = unix.IoctlSetTermios(t.fd, unix.TCSETS, t.state)
	_ = t.file.Close()
}
