// Package machine describes the machine that built something, so that readers
// see what an agreement proves: the more two machines differ, the less can have
// made both arrive at the same result by the same mistake.
package machine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/mastercard/mangos/attest/strictjson"
)

// ErrInvalid: not a description of a machine.
var ErrInvalid = errors.New("invalid description of a machine")

// maxSize bounds the bytes of a description, maxText those of one fact.
const (
	maxSize = 64 << 10
	maxText = 200
)

// Facts are what is told of a machine; what is not known is empty. They are
// told by who built, and proven by nothing but the signature.
type Facts struct {
	CPU          string `json:"cpu,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Cores        int    `json:"cores,omitempty"`
	Kernel       string `json:"kernel,omitempty"`
	Distribution string `json:"distribution,omitempty"`
	// Path is the folder that the build was called in.
	Path string `json:"path,omitempty"`
}

// Fact is one of the facts with a name for people.
type Fact struct{ Name, Value string }

// List is all facts in the order in which they are shown.
func (f Facts) List() []Fact {
	cores := ""
	if f.Cores > 0 {
		cores = fmt.Sprint(f.Cores)
	}
	return []Fact{
		{"processor", f.CPU}, {"architecture", f.Architecture}, {"cores", cores},
		{"kernel", f.Kernel}, {"distribution", f.Distribution}, {"path", f.Path},
	}
}

// This describes the machine that the program runs on.
func This() Facts {
	f := Facts{Architecture: runtime.GOARCH, Cores: runtime.NumCPU()}
	f.CPU = value("/proc/cpuinfo", "model name", ":")
	f.Distribution = strings.Trim(value("/etc/os-release", "PRETTY_NAME", "="), `"`)
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		f.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	if dir, err := os.Getwd(); err == nil {
		f.Path = dir
	}
	return f.clean()
}

// value is what stands after the key in the first line of a file with it.
func value(path, key, separator string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	lines := bufio.NewScanner(io.LimitReader(file, maxSize))
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// clean makes facts of the machine's own files fit for a statement.
func (f Facts) clean() Facts {
	for _, text := range f.texts() {
		*text = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(*text, ""))
		if len(*text) > maxText {
			*text = strings.ToValidUTF8((*text)[:maxText], "")
		}
	}
	return f
}

func (f *Facts) texts() []*string {
	return []*string{&f.CPU, &f.Architecture, &f.Kernel, &f.Distribution, &f.Path}
}

// Check refuses what a statement about a machine must not hold. Errors wrap
// [ErrInvalid].
func (f Facts) Check() error {
	if f.Cores < 0 || f.Cores > 1<<20 {
		return fmt.Errorf("%w: %d cores", ErrInvalid, f.Cores)
	}
	for _, text := range f.texts() {
		if len(*text) > maxText || strings.ContainsFunc(*text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%w: %.100q is too long or cannot be printed", ErrInvalid, *text)
		}
	}
	return nil
}

// Parse reads the JSON form.
func Parse(data []byte) (Facts, error) {
	var f Facts
	if len(data) > maxSize {
		return f, fmt.Errorf("%w: %d bytes", ErrInvalid, len(data))
	}
	if err := strictjson.UnmarshalKnown(data, &f); err != nil {
		return f, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return f, f.Check()
}

// JSON is the form that Parse reads.
func (f Facts) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe machine: %w", err)
	}
	return append(text, '\n'), nil
}
