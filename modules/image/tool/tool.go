// Package tool runs the external programs that do the work of a step, each
// with a small fixed environment, so that what they write depends on their
// arguments alone.
package tool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxMessage bounds how much of a failed program's own words are repeated.
const maxMessage = 4096

// passed are the variables that reach a program when they are set. They say
// where a key lies, not what is made with it.
var passed = []string{"P11_KIT_SERVER_ADDRESS", "PKCS11_PROVIDER_MODULE", "OPENSSL_CONF", "SOFTHSM2_CONF"}

// SecretPath is where a program finds its secret: behind a descriptor, because
// the file has no name.
const SecretPath = "/proc/self/fd/3" //nolint:gosec // a place, no secret

// Command is a program to run.
type Command struct {
	Name string
	Args []string
	// Epoch is SOURCE_DATE_EPOCH; it is set where it is not zero.
	Epoch int64
	// Temp is the folder it keeps its temporary files in, /tmp if empty.
	Temp string
	// Stdin is what the program reads; nothing if nil.
	Stdin io.Reader
	// Stdout takes what the program prints, in RunTo.
	Stdout io.Writer
	// Secret, if not empty, is what the program finds in the file SecretPath. It
	// stands in memory only.
	Secret string
	// Feed, if set, writes what the program reads. Its error counts before
	// the program's.
	Feed func(io.Writer) error
}

// Run runs the program and returns what it printed on standard output. The
// error of a failure holds what it printed on standard error.
func (c Command) Run(ctx context.Context) ([]byte, error) {
	var stdout bytes.Buffer
	c.Stdout = &stdout
	if err := c.RunTo(ctx); err != nil {
		return nil, err
	}
	return stdout.Bytes(), nil
}

// RunTo is Run with the output going to c.Stdout.
func (c Command) RunTo(ctx context.Context) error {
	var err error
	cmd := exec.CommandContext(ctx, c.Name, c.Args...)
	if cmd.Env, err = c.environment(); err != nil {
		return err
	}
	if c.Secret != "" {
		f, err := secret(c.Secret)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
	}
	cmd.Stdin = c.Stdin
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = c.Stdout, &stderr
	if c.Feed == nil {
		err = cmd.Run()
	} else {
		err = feed(cmd, c.Feed)
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", c.Name, err, message(stderr.Bytes()))
	}
	return nil
}

// secret returns a file without a name that holds text.
func secret(text string) (*os.File, error) {
	fd, err := unix.MemfdCreate("secret", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	f := os.NewFile(uintptr(fd), "secret")
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return nil, fmt.Errorf("secret: %w", err)
	}
	return f, nil
}

// feed runs cmd while write fills its standard input.
func feed(cmd *exec.Cmd, write func(io.Writer) error) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	writeErr := write(in)
	if writeErr != nil {
		// Nothing complete must come of an input that was cut off.
		_ = cmd.Process.Kill()
	}
	closeErr := in.Close()
	waitErr := cmd.Wait()
	switch {
	case waitErr != nil && writeErr != nil:
		return fmt.Errorf("%w (its input: %w)", waitErr, writeErr)
	case writeErr != nil:
		return writeErr
	case waitErr != nil:
		return waitErr
	}
	return closeErr
}

func (c Command) environment() ([]string, error) {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/nonexistent", "LC_ALL=C.UTF-8", "TZ=UTC",
		// Python's caches would be written beside the tools.
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONHASHSEED=0",
	}
	if c.Epoch != 0 {
		env = append(env, "SOURCE_DATE_EPOCH="+strconv.FormatInt(c.Epoch, 10))
	}
	if c.Temp != "" {
		dir, err := filepath.Abs(c.Temp)
		if err != nil {
			return nil, err
		}
		env = append(env, "TMPDIR="+dir)
	}
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env, nil
}

// message returns the end of a program's words, escaped for a terminal.
func message(b []byte) string {
	text := strings.TrimSpace(string(b))
	if text == "" {
		return ""
	}
	if len(text) > maxMessage {
		text = "..." + text[len(text)-maxMessage:]
	}
	return ": " + Printable(text)
}

// Printable escapes what a terminal would act on; lines stay lines.
func Printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
