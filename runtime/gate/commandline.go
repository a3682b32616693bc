package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/runtime/console"
)

// BuiltIn is the file in the initrd that holds the built-in command line: the
// bytes of the UKI's .cmdline section, no newline at the end.
const BuiltIn = "etc/mangos/cmdline"

// maxCommandLine is COMMAND_LINE_SIZE of x86, with its NUL: what is longer the
// kernel cuts off.
const maxCommandLine = 2048

// ErrCommandLine: the text cannot be a built-in command line.
var ErrCommandLine = errors.New("not a usable built-in command line")

// CheckBuiltIn refuses a built-in command line that could not arrive in
// /proc/cmdline byte for byte: systemd-stub strips blanks at both ends and turns
// control characters into blanks, the kernel cuts at its limit.
func CheckBuiltIn(line string) error {
	switch {
	case line == "":
		return fmt.Errorf("%w: it is empty", ErrCommandLine)
	case len(line) >= maxCommandLine:
		return fmt.Errorf("%w: it has %d bytes, the kernel takes %d", ErrCommandLine, len(line), maxCommandLine-1)
	case strings.TrimSpace(line) != line:
		return fmt.Errorf("%w: it begins or ends with a blank", ErrCommandLine)
	}
	for i := range len(line) {
		if line[i] < 0x20 || line[i] > 0x7e {
			return fmt.Errorf("%w: byte %d (0x%02x) is not printable ASCII", ErrCommandLine, i, line[i])
		}
	}
	return nil
}

func checkCommandLine(root string) *Refusal {
	builtIn, err := readBuiltIn(root)
	if err != nil {
		return refuse(CommandLine, "the built-in command line cannot be read (%v). The image is broken", err)
	}
	actual, err := readAtMost(filepath.Join(root, "proc/cmdline"), 64<<10)
	if err != nil {
		return refuse(CommandLine, "the kernel's command line cannot be read (%v)", err)
	}
	return compareCommandLine(builtIn, actual)
}

// compareCommandLine compares byte for byte. The kernel ends /proc/cmdline with
// one newline of its own; nothing else is forgiven.
func compareCommandLine(builtIn string, actual []byte) *Refusal {
	text, newline := bytes.CutSuffix(actual, []byte("\n"))
	if newline && string(text) == builtIn {
		return nil
	}
	at := 0
	for at < len(text) && at < len(builtIn) && text[at] == builtIn[at] {
		at++
	}
	return refuse(CommandLine, "the kernel was started with a command line that is not the built-in one: from byte %d on it is %s instead of %s. Remove what changes it (boot menu, EFI system partition, virtual machine's settings)",
		at, console.Quote(string(text[at:]), 200), console.Quote(builtIn[at:], 60))
}

func readBuiltIn(root string) (string, error) {
	raw, err := readAtMost(filepath.Join(root, BuiltIn), maxCommandLine)
	if err != nil {
		return "", err
	}
	return string(raw), CheckBuiltIn(string(raw))
}

// readAtMost reads a file that must not be longer than limit bytes.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return raw, err
}
