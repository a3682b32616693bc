// Package configuration reads fragments of a Linux kernel configuration and
// checks that a configuration made from them kept every line.
//
// Kconfig drops what cannot be, without a word: an option whose menu is off, a
// name that was spelled wrong or went away. What was asked for is compared with
// what came out, and everything lost is named with the line that asked for it.
package configuration

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// ErrInvalid reports a fragment that cannot be read or contradicts another.
var ErrInvalid = errors.New("invalid configuration fragment")

// ErrLost reports options that a configuration did not keep.
var ErrLost = errors.New("options did not survive the merge")

// maxSize bounds a fragment or a configuration in bytes.
const maxSize = 4 << 20

// notSet is the value of an option that is off.
const notSet = "n"

// Option is one line of a fragment.
type Option struct {
	Name  string // with CONFIG_
	Value string // as it stands in the file: y, 4096, "text"; n: is not set
	File  string
	Line  int
}

// String returns the option as it stands in a configuration.
func (o Option) String() string {
	if o.Value == notSet {
		return "# " + o.Name + " is not set"
	}
	return o.Name + "=" + o.Value
}

var (
	set   = regexp.MustCompile(`^(CONFIG_[A-Za-z0-9_]+)=(y|[0-9]+|-[0-9]+|0x[0-9a-fA-F]+|"(?:[^"\\]|\\.)*")$`)
	unset = regexp.MustCompile(`^# (CONFIG_[A-Za-z0-9_]+) is not set$`)
)

// Read parses a fragment. Each line is an option, a comment or empty; anything
// else, a module (=m) included, is an error that wraps ErrInvalid.
func Read(r io.Reader, name string) ([]Option, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read fragment %s: %w", name, err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("read fragment %s: %w: more than %d bytes", name, ErrInvalid, maxSize)
	}
	var options []Option
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxSize)
	for n := 1; lines.Scan(); n++ {
		option := Option{File: name, Line: n}
		line := lines.Text()
		if m := set.FindStringSubmatch(line); m != nil {
			option.Name, option.Value = m[1], m[2]
		} else if m := unset.FindStringSubmatch(line); m != nil {
			option.Name, option.Value = m[1], notSet
		} else if line == "" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "#CONFIG_") && !strings.HasPrefix(line, "# CONFIG_") {
			continue
		} else {
			return nil, fmt.Errorf("read fragment: %w: %s:%d: %.200q is no option, and no comment", ErrInvalid, name, n, line)
		}
		options = append(options, option)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read fragment %s: %w", name, err)
	}
	return options, nil
}

// ReadFolder parses all fragments (*.config) of a folder in the order of their
// names. An option that stands twice is an error that wraps ErrInvalid and
// names both places.
func ReadFolder(folder string) ([]Option, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.config"))
	if err != nil {
		return nil, fmt.Errorf("read fragments: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("read fragments: %w: there is no *.config in %s", ErrInvalid, folder)
	}
	sort.Strings(names)
	var all []Option
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read fragments: %w", err)
		}
		options, err := Read(file, filepath.Base(name))
		file.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, options...)
	}
	seen := make(map[string]Option)
	for _, o := range all {
		if first, ok := seen[o.Name]; ok {
			return nil, fmt.Errorf("read fragments: %w: %s stands in %s:%d and in %s:%d", ErrInvalid, o.Name, first.File, first.Line, o.File, o.Line)
		}
		seen[o.Name] = o
	}
	return all, nil
}

// Check tells whether a configuration (.config) has every option with its
// value, and no module. The error wraps ErrLost and has one line for each that
// it has not.
func Check(options []Option, config io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(config, maxSize+1))
	if err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	if len(text) > maxSize {
		return fmt.Errorf("check configuration: more than %d bytes", maxSize)
	}
	values := make(map[string]string)
	var lost []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		name, value, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(name, "CONFIG_") {
			continue
		}
		values[name] = value
		if value == "m" {
			lost = append(lost, line+": a module")
		}
	}
	for _, o := range options {
		value, ok := values[o.Name]
		if !ok {
			value = notSet
		}
		if value != o.Value {
			lost = append(lost, fmt.Sprintf("%s:%d: %s: the configuration has %s", o.File, o.Line, o, Option{Name: o.Name, Value: value}))
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("check configuration: %d %w:\n%s", len(lost), ErrLost, strings.Join(lost, "\n"))
	}
	return nil
}
